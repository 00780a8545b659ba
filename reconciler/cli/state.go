package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/ledger"
)

func (a *app) stateCommand() *cobra.Command {
	c := &cobra.Command{Use: "state", Short: "What opdbus owns (the ledger)"}
	c.AddCommand(a.stateListCommand(), a.stateShowCommand())
	return c
}

func (a *app) stateListCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list [ADDRESS…]",
		Short: "List the addresses of what opdbus owns",
		RunE: func(_ *cobra.Command, args []string) error {
			objects, err := a.ownedObjects(args)
			if err != nil {
				return err
			}
			addrs := make([]string, 0, len(objects))
			for _, o := range objects {
				addrs = append(addrs, o.Addr.String())
			}
			if asJSON {
				return a.printJSON(addrs)
			}
			for _, addr := range addrs {
				fmt.Fprintln(a.out, addr)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.ValidArgsFunction = a.completeNodes
	return c
}

func (a *app) stateShowCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show ADDRESS…",
		Short: "Show what opdbus last made a node's objects, or an object, be",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			objects, err := a.ownedObjects(args)
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(objects)
			}
			for _, o := range objects {
				fmt.Fprintln(a.out, o.Addr)
				var indented strings.Builder
				enc := json.NewEncoder(&indented)
				enc.SetIndent("  ", "  ")
				enc.SetEscapeHTML(false)
				if err := enc.Encode(o.Made); err != nil {
					return err
				}
				fmt.Fprint(a.out, "  ", indented.String())
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.ValidArgsFunction = a.completeNodes
	return c
}

type ownedObject struct {
	Addr state.Addr      `json:"address"`
	Made json.RawMessage `json:"made"`
}

// ownedObjects are the ledger's entries at the addresses, or all.
func (a *app) ownedObjects(args []string) ([]ownedObject, error) {
	r, err := a.reconciler(nil)
	if err != nil {
		return nil, err
	}
	l, err := owned(r)
	if err != nil {
		return nil, err
	}
	var all []ownedObject
	for _, node := range l.Addrs() {
		for _, e := range l.Node(node).Objects {
			addr, err := state.ParseLocal(node, e.Object)
			if err != nil {
				return nil, err
			}
			made, err := shown(r, addr, e)
			if err != nil {
				return nil, err
			}
			all = append(all, ownedObject{addr, made})
		}
	}
	if len(args) == 0 {
		return all, nil
	}
	var chosen []ownedObject
	for _, arg := range args {
		addr, err := state.ParseAddr(arg)
		if err != nil {
			return nil, err
		}
		found := false
		for _, o := range all {
			if addr.Contains(o.Addr) {
				chosen, found = append(chosen, o), true
			}
		}
		if !found {
			return nil, fmt.Errorf("opdbus owns nothing at %s; opdbus state list shows what it owns", addr)
		}
	}
	return chosen, nil
}

// shown is a ledger's entry for people's eyes: what is secret in it is a fingerprint.
func shown(r *reconciler.Reconciler, addr state.Addr, e ledger.Entry) (json.RawMessage, error) {
	if len(e.Sensitive) == 0 {
		return e.Made, nil
	}
	kind := r.Kinds.For(addr)
	if kind == nil {
		return nil, fmt.Errorf("this version of opdbus has no kind for %s, and cannot tell what in it is secret", addr)
	}
	made, err := kind.Decode(e.Made)
	if err != nil {
		return nil, err
	}
	key, err := secretKey(r)
	if err != nil {
		return nil, err
	}
	return state.MaskedObject(made, e.Sensitive, key)
}
