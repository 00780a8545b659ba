package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/reconciler/render"
)

// reinstating is what the lock says of its holder. It is held for a moment, for which others wait.
const reinstating = "opdbus reinstate"

func (a *app) reinstateCommand() *cobra.Command {
	var timeout, patience time.Duration
	var o reconciler.ReinstateOptions
	c := &cobra.Command{
		Use:   "reinstate",
		Short: "Make again what went with a boot or with a daemon",
		Long: `Makes again what opdbus owns and what goes by itself: links, addresses, routes, rules, WireGuard interfaces and settings of the
kernel when the host boots, and flows when ovs-vswitchd ends. It takes no configuration: it makes things as they were last made. What is
there stays as it is, unless --changed has it made so too; links that a switch's daemon has made anew, and left down, are made as they were. opdbus-network.service calls this at boot, before network.target is
reached, and opdbus-switch.service when Open vSwitch has been started again.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := a.changing("reinstate")
			if err != nil {
				return err
			}
			for end := time.Now().Add(patience); ; {
				err := a.reinstate(c.Context(), r, o, timeout)
				var part *partError
				if !errors.As(err, &part) || time.Now().After(end) || c.Context().Err() != nil {
					return err
				}
				select {
				case <-c.Context().Done():
				case <-time.After(time.Second):
				}
			}
		},
	}
	c.Flags().BoolVar(&o.Changed, "changed", false, "also make what is there, but is not as it was made, as it was made")
	c.Flags().DurationVar(&patience, "wait", 15*time.Second, "wait this long for what something stands on, such as a switch's daemon")
	c.Flags().DurationVar(&timeout, "lock-timeout", 0, "wait this long for another run to end")
	return c
}

// A partError says that not everything could be made again, which may be for now.
type partError struct{ error }

func (e *partError) Unwrap() error { return e.error }

// reinstate makes again what it can, and holds the lock only while it does.
func (a *app) reinstate(ctx context.Context, r *reconciler.Reconciler, o reconciler.ReinstateOptions, timeout time.Duration) error {
	story, err := r.CutOff()
	if err != nil {
		return err
	}
	needed, err := r.Reinstatable(ctx, o)
	if err != nil || story == nil && !needed {
		return err
	}
	lock, err := a.lock(ctx, r, reinstating, timeout)
	if err != nil {
		return err
	}
	defer a.unlock(lock)
	// What looked cut off may have been a run that was going on.
	if story, err := r.CutOff(); err != nil || story != nil {
		if err == nil {
			err = fmt.Errorf("run %d was cut off: opdbus recover comes first", story.Run.Run)
		}
		return err
	}
	found, err := r.Reinstate(ctx, o)
	for _, addr := range found.Made {
		fmt.Fprintf(a.out, "  %s\n", addr)
	}
	for _, addr := range found.Others {
		fmt.Fprintf(a.err, "%s is not made again: something of somebody else's is in its place.\n", addr)
	}
	if len(found.Made) > 0 {
		fmt.Fprintf(a.out, "Made again: %s.\n", render.Count(len(found.Made), "object"))
	}
	if err != nil {
		err = &partError{fmt.Errorf("not everything could be made again: %w", err)}
	}
	return err
}
