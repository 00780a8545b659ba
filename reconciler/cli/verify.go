package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
)

func (a *app) verifyCommand() *cobra.Command {
	var l loadFlags
	var asJSON bool
	var dir string
	c := &cobra.Command{
		Use:   "verify [NODE…]",
		Short: "Check that the host still is what opdbus made",
		Long: `Compares every link, registration, file and live object that opdbus made with the host, and runs the verify blocks of the
configuration in the current directory (or --config), if there is one. Exits with 2 when something differs.`,
		RunE: func(c *cobra.Command, args []string) error {
			var nodes []state.NodeAddr
			for _, arg := range args {
				node, err := nodeAddr(arg)
				if err != nil {
					return err
				}
				nodes = append(nodes, node)
			}
			var config *state.Config
			if dir != "" || hasConfig(".") {
				loaded, files, diags, err := a.load(c.Context(), or(dir, "."), &l)
				if err := errors.Join(err, a.diagnose(files, diags)); err != nil {
					return err
				}
				config = loaded
			}
			r, err := a.reconciler(config)
			if err != nil {
				return err
			}
			ledger, err := owned(r)
			if err != nil {
				return err
			}
			for _, n := range nodes {
				if ledger.Node(n) == nil {
					return fmt.Errorf("opdbus made nothing for %s; opdbus state list shows what it made", n)
				}
			}
			findings, err := r.Verify(c.Context(), config, ledger, nodes)
			if err != nil {
				return err
			}
			bad := 0
			for _, f := range findings {
				if f.Problem != "" {
					bad++
					if !asJSON {
						fmt.Fprintf(a.out, "%s %s\n", f.Addr, f.Problem)
					}
				}
			}
			if asJSON {
				if err := a.printJSON(map[string]any{"ok": bad == 0, "findings": findings}); err != nil {
					return err
				}
			} else {
				fmt.Fprintf(a.out, "Verified %s: %d not as they should be.\n", render.Count(len(findings), "thing"), bad)
			}
			if bad > 0 {
				return exit(exitDiffers)
			}
			return nil
		},
	}
	l.add(c.Flags())
	c.Flags().StringVar(&dir, "config", "", "run the verify blocks of the configuration in `DIR`")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.ValidArgsFunction = a.completeNodes
	return c
}

// nodeAddr reads a node's address; a bare name is a stage's.
func nodeAddr(s string) (state.NodeAddr, error) {
	if state.ValidName(s) {
		return state.NodeAddr{Type: state.StageNode, Name: s}, nil
	}
	a, err := state.ParseAddr(s)
	if err != nil {
		return state.NodeAddr{}, err
	}
	if !a.IsNode() {
		return state.NodeAddr{}, fmt.Errorf("%s is an object; give its node, %s", a, a.Node)
	}
	return a.Node, nil
}

// hasConfig says whether there is a configuration in dir.
func hasConfig(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if isConfigFile(e.Name()) {
			return true
		}
	}
	return false
}
