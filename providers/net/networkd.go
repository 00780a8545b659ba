package net

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/marked"
	"github.com/opdbus/opdbus/providers/internal/watch"
	"github.com/opdbus/opdbus/state"
)

// networkdDir is where systemd-networkd's files are: those about links in network, those about itself in networkd.conf.d.
const networkdDir = "/etc/systemd"

// A NetworkdFile is one that systemd-networkd(8) reads. What a node's network comes to is written in such files where it is to persist so.
type NetworkdFile struct {
	Name string `json:"name"` // below /etc/systemd, such as network/10-opdbus-br0.network
	Text string `json:"text"` // without the mark

	// Parents are the directories that were made for it.
	Parents []string `json:"parents,omitempty"`

	link    string // the one that it is about
	refused string // what stands in its way and is somebody else's
}

// Key is the file's path below /etc/systemd.
func (f NetworkdFile) Key() string { return f.Name }

// Thing says that a file is one thing, whichever node it is of.
func (f NetworkdFile) Thing() string { return "path " + f.path() }

func (f NetworkdFile) path() string { return networkdDir + "/" + f.Name }

// Same compares what is written.
func (f NetworkdFile) Same(other state.Object) bool {
	o, ok := other.(NetworkdFile)
	return ok && f.Name == o.Name && f.Text == o.Text && f.refused == o.refused
}

// networkdFiles is the provider of files of systemd-networkd. It writes them, and has nobody read them: networkd does when it is started.
type networkdFiles struct{ files marked.Files }

// Read reads one file. Where there is none, but another one is what networkd goes by for the same link, that is in its way: only one is
// read for a link.
func (p *networkdFiles) Read(_ context.Context, want NetworkdFile) (*NetworkdFile, error) {
	file, err := p.files.Read(want.path())
	if err != nil {
		return nil, err
	}
	live := NetworkdFile{Name: want.Name, Text: file.Text, Parents: want.Parents}
	switch {
	case !file.There:
		other := p.other(want)
		if other == "" {
			return nil, nil
		}
		live.refused = fmt.Sprintf("systemd-networkd goes by %s for link %s, and reads one file for a link", other, want.link)
	case file.Blocked != "":
		live.refused = file.Blocked
	case !file.Ours:
		live.refused = fmt.Sprintf("%d bytes that somebody else wrote", len(file.Text))
	}
	return &live, nil
}

// other is the file by which networkd, where it runs, goes for the link that want is about, unless that is want itself. It keeps that in
// /run, by the link's number.
func (p *networkdFiles) other(want NetworkdFile) string {
	if want.link == "" || p.files.FS.Root != "" || !isHostsNetwork() {
		return ""
	}
	l, err := net.InterfaceByName(want.link)
	if err != nil {
		return ""
	}
	data, err := os.ReadFile(fmt.Sprintf("/run/systemd/netif/links/%d", l.Index))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if file, ok := strings.CutPrefix(strings.TrimSpace(line), "NETWORK_FILE="); ok && file != want.path() {
			return file
		}
	}
	return ""
}

// Apply writes or removes one.
func (p *networkdFiles) Apply(_ context.Context, before, after *NetworkdFile) (err error) {
	name := ""
	switch {
	case after != nil:
		name, err = after.Name, p.files.Write(after.path(), after.Text)
	case before != nil:
		name, err = before.Name, p.files.Remove(before.path(), before.Parents)
	}
	if err != nil {
		return fmt.Errorf("cannot change file %s of systemd-networkd: %w", name, err)
	}
	return nil
}

// Owns says whether what is there is ours: the mark says so, also when somebody has edited it.
func (*networkdFiles) Owns(made *NetworkdFile, live NetworkdFile) bool {
	return made != nil && live.refused == ""
}

// Claim takes over what opdbus wrote, and refuses anything else.
func (*networkdFiles) Claim(want, live NetworkdFile) (NetworkdFile, error) {
	if live.refused == "" {
		return want, nil
	}
	return want, fmt.Errorf("%s is not opdbus' own to write: %s. Move that away, or leave out persist", want.path(), live.refused)
}

// PlanAll notes which directories are to be made.
func (p *networkdFiles) PlanAll(_ context.Context, items []state.Planned[NetworkdFile]) error {
	return marked.NoteParents(p.files, items, func(o *NetworkdFile) (string, *[]string) { return o.path(), &o.Parents })
}

// Disturbs says so where nothing reads the files.
func (p *networkdFiles) Disturbs(_, after *NetworkdFile) []string {
	for _, dir := range []string{"/etc/systemd/system", "/run/systemd/system", "/run/systemd/generator"} {
		if enabled, _ := filepath.Glob(p.files.FS.Root + dir + "/*.wants/systemd-networkd.service"); len(enabled) > 0 {
			after = nil
		}
	}
	if after == nil {
		return nil
	}
	return []string{"is written for systemd-networkd.service, which is not enabled"}
}

// Accept cannot be: no block says what is in the files.
func (*networkdFiles) Accept(_ context.Context, node *state.Node, _ state.Item[NetworkdFile], _ NetworkdFile) (state.Acceptance, error) {
	return state.Acceptance{}, fmt.Errorf("it is written from what %s declares; change that, or write a drop-in beside it (systemd.network(5))", node.Addr)
}

// Sync brings the files to disk.
func (p *networkdFiles) Sync(_ context.Context, _ state.Site, changes []state.ChangeOf[NetworkdFile]) error {
	paths := make([]string, len(changes))
	for i, c := range changes {
		paths[i] = NetworkdFile{Name: c.Addr.Key}.path()
	}
	return p.files.Sync(paths)
}

// List is the files about links that there are, whoever wrote them.
func (p *networkdFiles) List(ctx context.Context) ([]NetworkdFile, error) {
	t, err := p.files.FS.Open()
	if err != nil {
		return nil, err
	}
	defer t.Close()
	var all []NetworkdFile
	for _, dir := range []string{"network", "networkd.conf.d"} {
		names, err := t.Names(networkdDir + "/" + dir)
		if err != nil && !hostfs.IsMissing(err) {
			return nil, fmt.Errorf("cannot list the files of systemd-networkd: %w", err)
		}
		slices.Sort(names)
		for _, name := range names {
			if !slices.Contains([]string{".network", ".netdev", ".conf"}, path.Ext(name)) {
				continue
			}
			live, err := p.Read(ctx, NetworkdFile{Name: dir + "/" + name})
			if err != nil {
				return nil, err
			}
			if live != nil {
				all = append(all, *live)
			}
		}
	}
	return all, nil
}

// Watch hears of what happens to the files.
func (p *networkdFiles) Watch(ctx context.Context, items []state.Item[NetworkdFile], tell func([]state.Addr, error)) error {
	paths := make([]watch.Path, len(items))
	for i, it := range items {
		paths[i] = watch.Path{Addr: it.Addr, Path: it.Want.path()}
	}
	return watch.Paths(ctx, p.files.FS.Root, paths, tell)
}

// isHostsNetwork says whether this process is in the network namespace of the first one, which udev and networkd hear of.
func isHostsNetwork() bool {
	ours, err := os.Readlink("/proc/thread-self/ns/net")
	first, other := os.Readlink("/proc/1/ns/net")
	return errors.Join(err, other) == nil && ours == first
}
