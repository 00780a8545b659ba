package cli

import (
	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/state/ledger"
)

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

func (a *app) complete(names func(*ledger.Ledger) []string) ([]string, cobra.ShellCompDirective) {
	if err := a.start(); err != nil { // nothing has been started when a shell asks
		return nil, cobra.ShellCompDirectiveError
	}
	r, err := a.reconciler(nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	l, err := owned(r)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names(l), cobra.ShellCompDirectiveNoFileComp
}
