package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/state/desired"
	"github.com/opdbus/opdbus/state/durable"
)

func (a *app) fmtCommand() *cobra.Command {
	var check, diff bool
	c := &cobra.Command{
		Use:   "fmt [DIR|FILE…]",
		Short: "Write configurations in the one format",
		Long:  `Formats the *.hcl files given, or those in the directories given (default: the current one), and lists those it changed.`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"."}
			}
			changed := false
			for _, arg := range args {
				paths := []string{arg}
				if info, err := os.Stat(arg); err != nil {
					return err
				} else if info.IsDir() {
					if paths, err = filepath.Glob(filepath.Join(escapeGlob(arg), "*.hcl")); err != nil {
						return err
					}
				}
				for _, path := range paths {
					one, err := a.format(path, check, diff)
					if err != nil {
						return err
					}
					changed = changed || one
				}
			}
			if check && changed {
				return exit(exitError)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&check, "check", false, "change nothing, list what is not formatted, and exit with 1 if anything is not")
	c.Flags().BoolVar(&diff, "diff", false, "show what changes")
	return c
}

// format formats one file; it says whether that changes anything.
func (a *app) format(path string, check, diff bool) (changed bool, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	src, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	out, diags := desired.Format(src, path)
	if err := diags.Err(); err != nil {
		return false, err
	}
	if bytes.Equal(src, out) {
		return false, nil
	}
	fmt.Fprintln(a.out, path)
	if diff {
		fmt.Fprint(a.out, udiff.Unified("old/"+path, "new/"+path, string(src), string(out)))
	}
	if check {
		return true, nil
	}
	return true, durable.WriteFile(path, out, info.Mode().Perm())
}

func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(s)
}
