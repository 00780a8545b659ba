// Package cli is the command line: one file a command. It alone prints, asks, and decides exit codes. It may import
// everything but providers, whose kinds it is given.
package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/mattn/go-shellwords"
	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/state"
)

// An app is one call of the program.
type app struct {
	version     string
	kinds       func(state.Host) state.Kinds
	programs    Programs
	running     bool // a run is under way, and what it does is told
	in          io.Reader
	out, err    io.Writer
	environ     []string
	log         hclog.Logger
	interrupted atomic.Bool
	listening   atomic.Bool // a signal is how the command is ended, and interrupts nothing

	chdir, root, store           string
	logLevel, logFile, logFormat string
	noColor                      bool
}

// Main runs the program and returns its exit code. The providers are given as a function of the host that they look
// after, which is known only when the flags have been read.
func Main(version string, kinds func(state.Host) state.Kinds, programs Programs, args []string) int {
	tuneCollector()
	a := &app{version: version, kinds: kinds, programs: programs, in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ()}
	ctx, stop := a.signals()
	defer stop()
	root := a.command()
	args, err := a.extraArgs(root, args)
	if err == nil {
		root.SetArgs(args)
		err = root.ExecuteContext(ctx)
	}
	return a.report(err)
}

// command is the whole command tree.
func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "opdbus",
		Short: "Keeps a Linux host as its configuration says",
		Long: `opdbus compares a configuration in HCL with the host, shows what would change, and makes it so, with a
btrfs snapshot before and after each node, so that everything can be taken back.`,
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.start() },
	}
	f := root.PersistentFlags()
	f.StringVar(&a.chdir, "chdir", "", "work in `DIR` instead of the current directory")
	f.StringVar(&a.root, "root", a.getenv("OPDBUS_ROOT"), "prefix every host path with `DIR`; live services are not spoken to")
	f.StringVar(&a.store, "store", a.getenv("OPDBUS_STORE"), "the store's `DIR` (default /var/lib/op-dbus, or what the configuration says)")
	f.StringVar(&a.logLevel, "log-level", or(a.getenv("OPDBUS_LOG"), "warn"), "trace, debug, info, warn, error or off")
	f.StringVar(&a.logFile, "log-file", "", "write the log to `FILE` instead of standard error")
	f.StringVar(&a.logFormat, "log-format", "text", "text or json")
	f.BoolVar(&a.noColor, "no-color", false, "print without colours (as NO_COLOR does)")
	root.AddGroup(&cobra.Group{ID: "main", Title: "The way it goes:"}, &cobra.Group{ID: "back", Title: "Taking back:"}, &cobra.Group{ID: "look", Title: "Looking at what is there:"},
		&cobra.Group{ID: "write", Title: "Writing configurations:"}, &cobra.Group{ID: "other", Title: "Others:"})
	root.SetHelpCommandGroupID("other")
	root.SetCompletionCommandGroupID("other")
	for group, commands := range map[string][]*cobra.Command{
		"main": {a.initCommand(), a.planCommand(), a.applyCommand(), a.destroyCommand(), a.verifyCommand()},
		"back": {a.rollbackCommand(), a.restoreCommand(), a.undoCommand(), a.confirmCommand(), a.recoverCommand(), a.reinstateCommand(), a.releaseCommand()},
		"look": {a.driftCommand(), a.diffCommand(), a.historyCommand(), a.showCommand(), a.whyCommand(),
			a.snapshotsCommand(), a.queryCommand(), a.pluginCommand(), a.stageCommand(), a.stateCommand(), a.graphCommand()},
		"write": {a.fmtCommand(), a.validateCommand(), a.importCommand()},
		"other": append([]*cobra.Command{a.fsckCommand(), a.doctorCommand(), a.wgCommand(), a.versionCommand(), a.awaitCommand()}, a.programCommands()...),
	} {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageError(c, err) })
	return root
}

// start is what every command begins with, once the flags are read.
func (a *app) start() error {
	if a.chdir != "" {
		if err := os.Chdir(a.chdir); err != nil {
			return err
		}
	}
	level := hclog.LevelFromString(a.logLevel)
	if level == hclog.NoLevel {
		return errors.New("--log-level (OPDBUS_LOG) must be trace, debug, info, warn, error or off, not " + a.logLevel)
	}
	if a.logFormat != "text" && a.logFormat != "json" {
		return errors.New("--log-format must be text or json, not " + a.logFormat)
	}
	out := a.err
	if a.logFile != "" {
		f, err := os.OpenFile(a.logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		out = f
	}
	a.log = hclog.New(&hclog.LoggerOptions{Name: "opdbus", Level: level, Output: out, JSONFormat: a.logFormat == "json"})
	return nil
}

// extraArgs puts what OPDBUS_CLI_ARGS_command holds behind the command's name.
func (a *app) extraArgs(root *cobra.Command, args []string) ([]string, error) {
	c, rest, err := root.Find(args)
	if err != nil || c == root {
		return args, nil // the parser says it better
	}
	name := "OPDBUS_CLI_ARGS_" + strings.ReplaceAll(strings.TrimPrefix(c.CommandPath(), "opdbus "), " ", "_")
	extra, err := shellwords.Parse(a.getenv(name))
	if err != nil {
		return nil, errors.New("cannot read " + name + ": " + err.Error())
	}
	at := len(args) - len(rest)
	return append(append(append([]string(nil), args[:at]...), extra...), args[at:]...), nil
}

// signals makes the context that the first SIGINT, SIGTERM or SIGHUP ends; a second SIGINT or SIGTERM ends the program at once, and
// the next run recovers. A session that ends sends SIGHUP, often more than once, and takes what is under way back like Ctrl-C; it is
// not asked for where it is ignored, as nohup(1) has it.
func (a *app) signals() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(ch, syscall.SIGHUP)
	}
	go func() {
		for s := range ch {
			if a.interrupted.Swap(true) {
				if s == syscall.SIGHUP {
					continue
				}
				_, _ = io.WriteString(a.err, "\nstopped at once; what was under way is recovered by the next apply, or by opdbus recover\n")
				os.Exit(exitInterrupted)
			}
			if !a.listening.Load() {
				_, _ = io.WriteString(a.err, "\ninterrupted: finishing the change at hand; once more stops at once\n")
			}
			cancel()
		}
	}()
	return ctx, func() { signal.Stop(ch); cancel() }
}

func (a *app) getenv(name string) string {
	value := ""
	for _, kv := range a.environ {
		if k, v, _ := strings.Cut(kv, "="); k == name {
			value = v
		}
	}
	return value
}

func or(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
