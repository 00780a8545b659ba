package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func (a *app) importCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "import",
		Short: "Write HCL for what is written in another form",
		Args:  cobra.NoArgs,
	}
	c.AddCommand(a.importStateCommand())
	return c
}

func (a *app) importStateCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "state FILE",
		Short: "Write the HCL that a state.json comes to",
		Long: `Translates a state document, {"version": 1, "plugins": {…}}, into HCL, which plans to the same as the document does: plan, apply and
diff take FILE as it is. Its sections are systemd, net and openflow. What HCL has no counterpart for is an error, or a warning where
nothing depends on it.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			text, files, diags, err := translate(args[0])
			if err != nil {
				return err
			}
			if err := a.diagnose(files, diags); err != nil {
				return err
			}
			if out == "" {
				_, err := a.out.Write(text)
				return err
			}
			f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			if err != nil {
				return fmt.Errorf("cannot write the configuration: %w", err)
			}
			_, err = f.Write(text)
			return errors.Join(err, f.Close())
		},
	}
	c.Flags().StringVarP(&out, "out", "o", "", "write to `FILE`, which must not be there")
	return c
}
