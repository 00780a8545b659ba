// Command opdbus keeps a Linux host as its configuration says.
package main

import (
	"os"

	"github.com/opdbus/opdbus/providers"
	"github.com/opdbus/opdbus/reconciler/cli"
)

// version is set when a release is built (-ldflags -X).
var version = "dev"

func main() { os.Exit(cli.Main(version, providers.All, providers.Programs(), os.Args[1:])) }
