package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/state/wgkey"
)

func (a *app) wgCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "wg",
		Short: "Make the keys of WireGuard, and tell public ones",
		Long: `A configuration names the files that WireGuard's keys are in, and never the keys: these commands make such files. A private key stays on
the host that it was made on; the others are told its public key.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use:   "genkey FILE",
		Short: "Make a private key",
		Long: `Writes a new private key to FILE, which only its owner may read (mode 0600), and prints its public key. A file that is there is not
overwritten.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			k, err := wgkey.New()
			if err != nil {
				return err
			}
			if err := wgkey.Write(args[0], k); err != nil {
				return err
			}
			return a.printPublic(k)
		},
	}, &cobra.Command{
		Use:   "pubkey FILE",
		Short: "Print the public key of a private one",
		Long:  `Prints the public key of the private key in FILE, which nobody but its owner may be able to read.`,
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			k, err := wgkey.Read(args[0])
			if err != nil {
				return err
			}
			return a.printPublic(k)
		},
	})
	return c
}

func (a *app) printPublic(k wgkey.Key) error {
	public, err := k.Public()
	if err == nil {
		_, err = fmt.Fprintln(a.out, public)
	}
	return err
}
