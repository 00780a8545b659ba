package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/state/desired"
	"github.com/opdbus/opdbus/state/durable"
)

func (a *app) importCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "import",
		Short: "Write configurations from what there is in another form",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.importStateCommand())
	return c
}

func (a *app) importStateCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "state FILE",
		Short: "Translate a state.json of the older op-dbus",
		Long: `Writes the configuration that says the same as FILE, a state document ({"version": 1, "plugins": {...}}), as HCL and formatted. It plans to
exactly what FILE itself does, which plan, apply, diff, validate and graph take as it is. What has no counterpart is told, and left out; what
opdbus does not know is an error, and nothing is written.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if out != "" && (!desired.IsConfig(filepath.Base(out)) || !strings.HasSuffix(out, ".hcl")) {
				return fmt.Errorf("cannot write to %s: a file of a configuration is called *.hcl, such as DIR/main.hcl", out)
			}
			text, files, diags := desired.Translate(args[0])
			if err := a.diagnose(files, diags); err != nil {
				return err
			}
			if out == "" {
				_, err := a.out.Write(text)
				return err
			}
			return writeNew(out, text)
		},
	}
	c.Flags().StringVar(&out, "out", "", "write `FILE`, which must not be there yet, instead of standard output")
	return c
}

// writeNew writes a file that is not there yet. What somebody else made of the name in the meantime stays.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already and is not overwritten; move it away, or give another name", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return durable.SyncDir(filepath.Dir(path))
}
