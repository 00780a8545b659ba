package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
)

// restoreSubvolume has a subvolume that belongs to no node go back to a snapshot.
func (a *app) restoreSubvolume(c *cobra.Command, args []string, f *rollbackFlags) error {
	for _, flag := range []string{"confirm-timeout", "on-failure", "approved", "out", "valid-for"} {
		if c.Flags().Changed(flag) {
			return usageError(c, fmt.Errorf("--%s does not go with --subvolume", flag))
		}
	}
	r, err := a.changing("restore")
	if err != nil {
		return err
	}
	if _, err := a.recoverFirst(c.Context(), r, f.lockTimeout); err != nil {
		return err
	}
	p, err := r.PlanRestore(args[0])
	if err != nil {
		return err
	}
	if !f.json {
		a.tellRestore(p)
	}
	if !f.autoApprove {
		if err := a.confirm(c.Context(), "Shall opdbus restore it?"); err != nil {
			return err
		}
	}
	lock, err := a.lock(c.Context(), r, commandLine(c, args)+" --subvolume", f.lockTimeout)
	if err != nil {
		return err
	}
	defer a.unlock(lock)
	if err := r.RestoreSubvolume(c.Context(), p, commandLine(c, args)+" --subvolume"); err != nil {
		return err
	}
	if f.json {
		return a.printJSON(map[string]any{"run": p.By, "outcome": "applied", "subvolume": p.Subvolume, "snapshot": p.Name, "kept": p.Kept, "reboot": p.Root})
	}
	if p.Root {
		fmt.Fprintf(a.out, "\nRestored by run %d: / will be as it was with the next boot. Reboot when it suits; what is written to / until then stays behind.\n", p.By)
	} else {
		fmt.Fprintf(a.out, "\nRestored by run %d: %s is as it was.\n", p.By, p.Subvolume)
	}
	if p.Kept != "" {
		fmt.Fprintf(a.out, "What was there is kept; opdbus restore --subvolume %s goes back to it.\n", p.Kept)
	}
	fmt.Fprintln(a.out, "opdbus drift shows what opdbus made in it that is no longer so.")
	return nil
}

func (a *app) tellRestore(p *reconciler.SubvolumeRestore) {
	when := fmt.Sprintf("%s of run %d, at %s", phaseText(p.Phase), p.Run, p.Created.Local().Format(time.RFC3339))
	fmt.Fprintf(a.out, "opdbus will restore the subvolume %s to what it was %s.\n", p.Subvolume, when)
	if len(p.Along) > 0 {
		fmt.Fprintf(a.out, "The subvolumes in it are in no snapshot of it, and stay as they are: %s.\n", strings.Join(p.Along, ", "))
	}
	if p.Root {
		fmt.Fprintln(a.out, "The host runs on it: a copy of the snapshot becomes the default subvolume of its file system, which the next boot takes. Nothing changes before that.")
		return
	}
	fmt.Fprintln(a.out, "A copy of the snapshot takes its place in one step. Programs that have something in it open keep that until they are started anew.")
}
