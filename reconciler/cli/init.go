package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/state/store"
)

func (a *app) initCommand() *cobra.Command {
	var o store.Options
	c := &cobra.Command{
		Use:   "init",
		Short: "Make the store",
		Long: `Makes the store (default /var/lib/op-dbus) and says what it did; doing it again changes nothing. The store must be on btrfs. Where
it is not, a sparse btrfs image is made beside it, mounted there, and a mount unit installed. A unit is installed, too, that takes a run
back at boot which was cut off or not confirmed, before the network comes up: opdbus-recover.service. After opdbus was moved, delete it
and do this again.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := privileged("init"); err != nil {
				return err
			}
			host, err := a.host(nil)
			if err != nil {
				return err
			}
			o.Log = a.log
			report, err := store.Init(c.Context(), host, o)
			if err != nil {
				return err
			}
			for _, step := range report {
				fmt.Fprintln(a.out, step)
			}
			if !report.Made() {
				fmt.Fprintln(a.out, "Nothing to do: the store is ready.")
			}
			return nil
		},
	}
	c.Flags().BoolVar(&o.NoImage, "no-image", false, "refuse, rather than make an image, where the store is not on btrfs")
	return c
}
