package cli

import (
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
)

// A completion completes an argument or a flag, as cobra calls it.
type completion = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// only completes up to n arguments.
func only(n int, complete completion) completion {
	return func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(c, args, begun)
	}
}

// completeNodes completes the nodes that opdbus owns.
func (a *app) completeNodes(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return a.complete(func(l *ledger.Ledger) (names []string) {
		for _, addr := range l.Addrs() {
			names = append(names, addr.String())
		}
		return names
	})
}

// completeAddrs completes the nodes and the objects that opdbus owns.
func (a *app) completeAddrs(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return a.complete(func(l *ledger.Ledger) (names []string) {
		for _, addr := range l.Addrs() {
			names = append(names, addr.String())
			for _, e := range l.Node(addr).Objects {
				names = append(names, addr.String()+"."+e.Object)
			}
		}
		return names
	})
}

// completeRuns completes the run that there is to be shown, newest first.
func (a *app) completeRuns(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	names, directive := only(1, a.completion(func(r *reconciler.Reconciler) ([]string, error) {
		runs, err := journal.Runs(r.Store.JournalDir())
		var names []string
		for _, run := range slices.Backward(runs) {
			names = append(names, strconv.Itoa(run))
		}
		return names, err
	}))(c, args, begun)
	return names, directive | cobra.ShellCompDirectiveKeepOrder
}

// completeSnapshots completes the names of snapshots.
func (a *app) completeSnapshots(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	return a.completion(func(r *reconciler.Reconciler) ([]string, error) {
		infos, err := r.Snapshots()
		var names []string
		for _, i := range infos {
			names = append(names, i.Name)
		}
		return names, err
	})(c, args, begun)
}

func (a *app) complete(names func(*ledger.Ledger) []string) ([]string, cobra.ShellCompDirective) {
	return a.completion(func(r *reconciler.Reconciler) ([]string, error) {
		l, err := owned(r)
		if err != nil {
			return nil, err
		}
		return names(l), nil
	})(nil, nil, "")
}

// completion completes with names that are found on the host.
func (a *app) completion(find func(*reconciler.Reconciler) ([]string, error)) completion {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		if err := a.start(); err != nil { // nothing has been started when a shell asks
			return nil, cobra.ShellCompDirectiveError
		}
		r, err := a.reconciler(nil)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		names, err := find(r)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
