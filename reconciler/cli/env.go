package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/desired"
	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
	"github.com/opdbus/opdbus/state/snapshot"
	"github.com/opdbus/opdbus/state/store"
)

const defaultRegistry = "/etc/op-dbus/plugins"

// loadFlags are the flags of every command that reads a configuration.
type loadFlags struct {
	vars, varFiles, allowSource []string
	file                        string            // the only one in the directory that is read
	overlay                     map[string][]byte // what files are taken to hold; see desired.Options
	elsewhere                   bool              // the host is not looked at
}

func (l *loadFlags) add(f *pflag.FlagSet) {
	f.StringArrayVar(&l.vars, "var", nil, "set a variable: `NAME=VALUE` (repeatable)")
	f.StringArrayVar(&l.varFiles, "var-file", nil, "read variables from `FILE` (repeatable)")
	f.StringArrayVar(&l.allowSource, "allow-source", nil, "let a source, and file functions, read below `DIR` too (repeatable)")
}

// load reads the configuration in dir. With errors among the diagnostics it is what can be told of it, or nil.
func (a *app) load(ctx context.Context, dir string, l *loadFlags) (*state.Config, *desired.Files, state.Diagnostics, error) {
	facts, err := a.facts()
	if err != nil {
		return nil, nil, nil, err
	}
	config, files, diags := desired.Load(ctx, desired.Options{
		Dir: dir, File: l.file, Vars: l.vars, VarFiles: l.varFiles, Environ: a.environ, AllowSource: l.allowSource,
		Facts: facts, Kinds: a.kinds(state.Host{}), Store: a.store, Version: a.version, Overlay: l.overlay,
		Root: a.root, Elsewhere: l.elsewhere,
	})
	return config, files, diags, nil
}

// prepare reads the configuration in dir and prepares it, and finds every mistake in it; r is nil after a syntax error.
func (a *app) prepare(ctx context.Context, dir string, l *loadFlags) (*reconciler.Reconciler, *state.Config, *desired.Files, state.Diagnostics, error) {
	config, files, diags, err := a.load(ctx, dir, l)
	if err != nil || config == nil {
		return nil, nil, files, diags, err
	}
	r, err := a.reconciler(config)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	return r, config, files, append(diags, r.Prepare(ctx, config)...), nil
}

// diagnose prints diagnostics; an error comes back when one of them is an error.
func (a *app) diagnose(files *desired.Files, diags state.Diagnostics) error {
	if len(diags) > 0 {
		if err := files.WriteDiagnostics(a.err, diags, uint(max(0, width(a.err))), a.colored(a.err)); err != nil {
			return err
		}
	}
	if !diags.HasErrors() {
		return nil
	}
	for _, d := range diags {
		if d.Severity == state.Error && !d.Refusal {
			return exit(exitError)
		}
	}
	return exit(exitRefused)
}

// host says where things are; config may be nil.
func (a *app) host(config *state.Config) (state.Host, error) {
	h := state.Host{Store: or(a.store, store.DefaultDir), Registry: defaultRegistry, Subvolumes: snapshot.Btrfs{}}
	if config != nil {
		h.Store = or(a.store, config.Settings.Store, store.DefaultDir)
		h.Registry = or(config.Settings.Registry, defaultRegistry)
	}
	if !filepath.IsAbs(h.Store) {
		return h, fmt.Errorf("the store must be an absolute path, not %q", h.Store)
	}
	h.Store = filepath.Clean(h.Store)
	if a.root != "" {
		root, err := filepath.Abs(a.root)
		if err != nil {
			return h, err
		}
		if root, err = filepath.EvalSymlinks(root); err != nil {
			return h, fmt.Errorf("cannot use --root: %w", err)
		}
		if root != "/" {
			h.Root = root
		}
	}
	of := h
	h.Key = sync.OnceValues(func() ([]byte, error) { return secretKey(&reconciler.Reconciler{Host: of, Store: store.LayoutOf(of)}) })
	h.Tell = func(text string) {
		if a.running {
			fmt.Fprintln(a.err, render.Clean(text))
		}
	}
	return h, nil
}

// reconciler makes the engine for the host; config may be nil.
func (a *app) reconciler(config *state.Config) (*reconciler.Reconciler, error) {
	host, err := a.host(config)
	if err != nil {
		return nil, err
	}
	if config == nil {
		// Without a configuration the registry is where the last run had it. What cannot be read here is reported by whoever
		// needs it.
		if last, err := journal.Last(store.LayoutOf(host).JournalDir()); err == nil && last != nil {
			host.Registry = or(last.Registry, host.Registry)
		}
	}
	facts, err := a.facts()
	if err != nil {
		return nil, err
	}
	return &reconciler.Reconciler{
		Kinds: a.kinds(host), Host: host, Store: store.LayoutOf(host), Version: a.version,
		MachineID: machineID(host), Hostname: facts.Name, Log: a.log,
	}, nil
}

// owned reads the ledger. A store that is not there yet owns nothing; one that cannot be read is an error, since what is
// there would look like somebody else's.
func owned(r *reconciler.Reconciler) (*ledger.Ledger, error) {
	if _, err := openStore(r); err != nil {
		return nil, err
	}
	return ledger.Load(r.Store.Ledger())
}

// openStore opens the store; nil when it is not there yet.
func openStore(r *reconciler.Reconciler) (*store.Store, error) {
	s, err := store.Open(r.Host)
	if err == nil {
		return s, nil
	}
	_, image := os.Lstat(r.Store.Image())
	_, made := os.Lstat(r.Store.State())
	if errors.Is(err, fs.ErrNotExist) && errors.Is(image, fs.ErrNotExist) && errors.Is(made, fs.ErrNotExist) {
		return nil, nil
	}
	return nil, err
}

// secretKey is the key of fingerprints; nil where there is no store yet.
func secretKey(r *reconciler.Reconciler) ([]byte, error) {
	s, err := openStore(r)
	if err != nil || s == nil {
		return nil, err
	}
	return s.ReadKey()
}

// ready says why the store cannot be changed; nil when it can.
func ready(r *reconciler.Reconciler) error {
	s, err := store.Open(r.Host)
	if err == nil {
		err = s.Writable()
	}
	var wrong *store.Error
	if r.Host.Store != store.DefaultDir && errors.As(err, &wrong) {
		return fmt.Errorf("%w, with --store %s", err, r.Host.Store)
	}
	return err
}

// privileged refuses to go on without root, before anything is looked at.
func privileged(command string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("opdbus %s changes the host and needs root; run it with sudo", command)
	}
	return nil
}

// changing is the reconciler of a command that changes the host, or its store, without a configuration.
func (a *app) changing(command string) (*reconciler.Reconciler, error) {
	if err := privileged(command); err != nil {
		return nil, err
	}
	r, err := a.reconciler(nil)
	if err != nil {
		return nil, err
	}
	return r, ready(r)
}

// facts are what expressions see as host.….
func (a *app) facts() (state.Facts, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return state.Facts{}, fmt.Errorf("cannot read the host's facts: %w", err)
	}
	f := state.Facts{
		Name: unix.ByteSliceToString(u.Nodename[:]), Kernel: unix.ByteSliceToString(u.Release[:]), Arch: unix.ByteSliceToString(u.Machine[:]),
	}
	host, err := a.host(nil)
	if err != nil {
		return f, err
	}
	if host.Root != "" {
		if name, err := os.ReadFile(host.Path("/etc/hostname")); err == nil {
			f.Name = strings.TrimSpace(string(name))
		}
	}
	f.OS = osID(host)
	return f, nil
}

// osID is ID of os-release(5), "linux" where there is none, as os-release itself has it.
func osID(h state.Host) string {
	for _, path := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		data, err := os.ReadFile(h.Path(path))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if id, ok := strings.CutPrefix(strings.TrimSpace(line), "ID="); ok {
				return strings.Trim(id, `"'`)
			}
		}
	}
	return "linux"
}

// machineID is machine-id(5); a host or root without one is all zeros, as the kernel's nil UUID.
func machineID(h state.Host) string {
	for _, path := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id"} {
		data, err := os.ReadFile(h.Path(path))
		if id := strings.TrimSpace(string(data)); err == nil && len(id) == 32 {
			return id
		}
	}
	return strings.Repeat("0", 32)
}
