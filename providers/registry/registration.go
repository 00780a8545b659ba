package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/plugin"
	"github.com/opdbus/opdbus/state"
)

// registrations is the provider of registry files.
type registrations struct {
	host state.Host
	fs   hostfs.FS
}

const suffix = ".toml"

// limit is how large a registry file is read, and kept by those who change it.
const limit = 64 << 10

const tooLarge = "it is too large"

func (r *registrations) path(name string) string { return r.host.Registry + "/" + name + suffix }

// Read reads a plugin's registry file.
func (r *registrations) Read(_ context.Context, want Registration) (*Registration, error) {
	t, err := r.fs.Open()
	if err != nil {
		return nil, err
	}
	defer t.Close()
	return r.read(t, want)
}

func (r *registrations) read(t *hostfs.Tree, want Registration) (*Registration, error) {
	live := &Registration{Name: want.Name}
	err := t.In(r.path(want.Name), func(d *hostfs.Dir, name string) error {
		st, err := d.Lstat(name)
		if err != nil {
			return err
		}
		switch {
		case st.Mode&unix.S_IFMT != unix.S_IFREG:
			live.Problem = "it is not a regular file"
			return nil
		case st.Size > limit:
			live.Problem = tooLarge
			return nil
		}
		f, err := d.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		var content bytes.Buffer
		if _, err := content.ReadFrom(f); err != nil {
			return err
		}
		*live = decode(want.Name, content.Bytes())
		own := st.Mode&0o7777 == 0o644 && int(st.Uid) == os.Geteuid()
		if !own {
			live.Problem = fmt.Sprintf("its mode is %s and its owner uid %d", hostfs.FormatMode(st.Mode), st.Uid)
		}
		if !own || !bytes.Equal(content.Bytes(), encode(*live)) {
			live.Edited = &plugin.Edited{Text: content.String(), Mode: st.Mode & 0o7777, UID: int(st.Uid), GID: int(st.Gid)}
			if !utf8.Valid(content.Bytes()) {
				live.Edited.Text, live.Edited.Bytes = "", content.Bytes()
			}
		}
		return nil
	})
	var blocked *hostfs.BlockedError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.As(err, &blocked):
		live.Problem = blocked.Reason
	case err != nil:
		return nil, fmt.Errorf("cannot read the registration of plugin %s: %w", want.Name, err)
	}
	live.Parents = want.Parents
	return live, nil
}

// isPlugin says whether a name can be that of a plugin: of a node, or of a service on the bus, such as org.freedesktop.hostname1.
func isPlugin(name string) bool {
	for element := range strings.SplitSeq(name, ".") {
		if !state.ValidName(strings.TrimLeft(element, "_-")) {
			return false
		}
	}
	return state.ValidName(name) || strings.Contains(name, ".") && name[0] != '-'
}

// List lists what is registered, in the order of the names.
func (r *registrations) List(context.Context) ([]Registration, error) {
	t, err := r.fs.Open()
	if err != nil {
		return nil, err
	}
	defer t.Close()
	names, err := t.Names(r.host.Registry)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list the registered plugins: %w", err)
	}
	slices.Sort(names)
	var all []Registration
	for _, n := range names {
		name, ok := strings.CutSuffix(n, suffix)
		if !ok || !isPlugin(name) {
			continue
		}
		live, err := r.read(t, Registration{Name: name})
		if err != nil {
			return nil, err
		}
		if live != nil {
			all = append(all, *live)
		}
	}
	return all, nil
}

// PlanAll notes which directories are to be made for the registrations that are not there yet.
func (r *registrations) PlanAll(_ context.Context, items []state.Planned[Registration]) error {
	t, err := r.fs.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	made := map[string]bool{}
	for _, it := range items {
		if it.Made != nil {
			for _, dir := range it.Made.Parents {
				made[dir] = true
			}
		}
	}
	for i, it := range items {
		if it.Want == nil {
			continue
		}
		want := *it.Want
		if it.Made != nil {
			want.Parents = it.Made.Parents
		}
		if it.Live == nil {
			missing, err := t.Missing(r.path(want.Name))
			if err != nil {
				return fmt.Errorf("cannot reach the registry: %w", err)
			}
			want.Parents = nil
			for _, dir := range hostfs.Ancestors(r.path(want.Name)) {
				if made[dir] || slices.Contains(missing, dir) {
					want.Parents = append(want.Parents, dir)
				}
			}
		}
		items[i].Want = &want
	}
	return nil
}

// Owns says whether what is there is what opdbus registered. An edited registration is ours still.
func (r *registrations) Owns(made *Registration, live Registration) bool {
	if made == nil {
		return false
	}
	regular := false // and one that can be put back
	t, err := r.fs.Open()
	if err != nil {
		return false
	}
	defer t.Close()
	_ = t.In(r.path(live.Name), func(d *hostfs.Dir, name string) error {
		st, err := d.Lstat(name)
		regular = err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size <= limit
		return err
	})
	return regular
}

// Claim takes over what says the same already, and refuses anything else.
func (r *registrations) Claim(want, live Registration) (Registration, error) {
	if want.Same(live) {
		return want, nil
	}
	what := "another registration of the plugin"
	if live.Problem != "" {
		what = "something that is no registration (" + live.Problem + ")"
	}
	return want, fmt.Errorf("%s is there already and is not opdbus' own: %s. Move it away, or take %q out of the plugins", r.path(want.Name), what, want.Name)
}

// Apply writes or removes a registry file, each whole. What is there and neither before nor after is left.
func (r *registrations) Apply(_ context.Context, before, after *Registration) error {
	t, err := r.fs.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	if after == nil {
		if before == nil {
			return nil
		}
		err = r.remove(t, *before)
	} else {
		err = r.write(t, before, *after)
	}
	if err != nil {
		name := before
		if after != nil {
			name = after
		}
		return fmt.Errorf("cannot register plugin %s: %w", name.Name, err)
	}
	return nil
}

func (r *registrations) remove(t *hostfs.Tree, before Registration) error {
	live, err := r.read(t, before)
	if err != nil {
		return err
	}
	if live != nil && live.Same(before) {
		if err := t.In(r.path(before.Name), func(d *hostfs.Dir, name string) error { return d.Unlink(name) }); err != nil {
			return err
		}
	}
	err = t.In(r.path(before.Name), func(d *hostfs.Dir, name string) error { return d.ClearTemp(name) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return t.RemoveEmpty(before.Parents)
}

func (r *registrations) write(t *hostfs.Tree, before *Registration, after Registration) error {
	if _, err := t.MkdirParents(r.path(after.Name)); err != nil {
		return err
	}
	live, err := r.read(t, after)
	if err != nil {
		return err
	}
	owner := hostfs.Attributes{UID: os.Geteuid(), GID: os.Getegid(), Mode: 0o644}
	content := encode(after)
	if e := after.Edited; e != nil {
		owner, content = hostfs.Attributes{UID: e.UID, GID: e.GID, Mode: e.Mode}, e.Content()
	}
	fill := func(f *os.File) error {
		_, err := f.Write(content)
		return err
	}
	return t.In(r.path(after.Name), func(d *hostfs.Dir, name string) error {
		switch {
		case live == nil:
			return d.CreateFile(name, owner, fill)
		case live.Same(after):
			return d.ClearTemp(name)
		case before == nil:
			return fmt.Errorf("%s appeared since it was planned, and is left alone; make a new plan", r.path(after.Name))
		case !live.Same(*before):
			return fmt.Errorf("%s changed since it was planned, and is left alone; make a new plan", r.path(after.Name))
		}
		return d.ReplaceFile(name, owner, fill)
	})
}

// Changed says when a registry file last changed.
func (r *registrations) Changed(_ context.Context, item state.Item[Registration]) (time.Time, error) {
	return r.fs.Changed(r.path(item.Want.Name))
}

// Sync brings the registry to disk.
func (r *registrations) Sync(_ context.Context, _ state.Site, changes []state.ChangeOf[Registration]) error {
	t, err := r.fs.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	targets := make([]string, len(changes))
	for i, c := range changes {
		targets[i] = r.path(c.Addr.Key)
	}
	return t.Sync(targets)
}
