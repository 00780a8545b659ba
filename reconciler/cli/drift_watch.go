package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
)

// The events of drift --watch --json.
const (
	eventDrifted = "drifted" // it differs from what opdbus made, or otherwise than before
	eventMended  = "mended"  // it no longer does, or is no longer opdbus' own
)

// A driftEvent is a line of drift --watch --json.
type driftEvent struct {
	Event string    `json:"event"`
	At    time.Time `json:"at"` // when it was seen
	driftRow
}

// watch prints which objects differ, and goes on with what changes about that, until a signal ends it.
func (a *app) watch(ctx context.Context, r *reconciler.Reconciler, targets []state.Addr, asJSON, verbose bool) error {
	a.listening.Store(true)
	n, err := r.Watch(ctx, reconciler.WatchOptions{
		Targets: targets,
		First: func(objects []reconciler.Owned) error {
			if err := a.printFirst(ctx, r, objects, asJSON, verbose); err != nil {
				return err
			}
			fmt.Fprintf(a.err, "Watching %s; Ctrl-C ends it.\n", render.Count(len(objects), "object"))
			return nil
		},
		// What has happened before the signal is told after it still.
		Turned: func(turned []reconciler.Owned) error {
			return a.printTurned(context.WithoutCancel(ctx), r, turned, asJSON)
		},
		Waiting: func(why string) { fmt.Fprintf(a.err, "Waiting: %s.\n", why) },
	})
	if err == nil && n > 0 {
		return exit(exitDiffers)
	}
	return err
}

// printFirst prints how it is at the beginning: for people as drift does, for programs as the events that have led there.
func (a *app) printFirst(ctx context.Context, r *reconciler.Reconciler, objects []reconciler.Owned, asJSON, verbose bool) error {
	if !asJSON {
		_, err := a.printDrift(ctx, r, objects, false, verbose)
		return err
	}
	return a.printTurned(ctx, r, drifted(objects), true)
}

// printTurned prints a line for each object that turned.
func (a *app) printTurned(ctx context.Context, r *reconciler.Reconciler, turned []reconciler.Owned, asJSON bool) error {
	since, err := r.Since(ctx, drifted(turned))
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Second)
	for _, o := range turned {
		e := driftEvent{eventMended, now, driftRow{Addr: o.Addr, Run: o.Run, Attributes: []driftAttribute{}}}
		if o.Drifted() {
			e.Event = eventDrifted
			if e.driftRow, err = newDriftRow(o, since[0], r.Key); err != nil {
				return err
			}
			since = since[1:]
		}
		if asJSON {
			enc := json.NewEncoder(a.out) // one line each
			enc.SetEscapeHTML(false)
			err = enc.Encode(e)
		} else {
			err = a.printEvent(e, o, a.renderOptions(r, false))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printEvent(e driftEvent, o reconciler.Owned, options render.Options) error {
	what := "is as it was made again"
	switch {
	case e.Missing:
		what = "drifted: missing"
	case e.Event == eventDrifted:
		how, err := render.Differing(o.Drift(), options)
		if err != nil {
			return err
		}
		what = "drifted: " + how
	case o.Made == nil:
		what = "is no longer opdbus' own"
	}
	_, err := fmt.Fprintf(a.out, "%s %s %s\n", e.At.Format(time.RFC3339), render.Clean(o.Addr.String()), what)
	return err
}
