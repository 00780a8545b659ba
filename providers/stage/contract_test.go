package stage

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers/internal/tree"
	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/state"
)

// A world is a host with one stage.
type world struct {
	state.Host
	t     testing.TB
	kinds state.Kinds
	node  state.NodeAddr
	site  state.Site
}

func newWorld(t testing.TB) *world {
	host := providertest.Host(t)
	node := state.NodeAddr{Type: state.StageNode, Name: "core"}
	return &world{Host: host, t: t, kinds: Kinds(host), node: node, site: providertest.Site(t, host, node)}
}

func (w *world) addr(kind, key string) state.Addr {
	return state.Addr{Node: w.node, Kind: kind, Key: key}
}

func (w *world) kind(name string) *state.Kind { return w.kinds.For(w.addr(name, "")) }

func digest(content string) string { return tree.Digest([]byte(content)) }

// staged puts a file into the stage's tree.
func (w *world) staged(path, content string) {
	providertest.Write(w.t, filepath.Join(w.site.Dir, path), content)
}

// earlier puts a file into an earlier tree of the stage.
func (w *world) earlier(path, content string) {
	dir := w.t.TempDir()
	providertest.Write(w.t, filepath.Join(dir, path), content)
	w.site.Earlier = append(w.site.Earlier, dir)
}

func TestContract(t *testing.T) {
	copied := func(typ, content string) File {
		return File{Path: "f", Target: "/etc/new/deep/f", Type: typ, Digest: digest(content), Mode: "0640", Owner: "root", Group: "7", Parents: []string{"/etc/new", "/etc/new/deep"}}
	}
	link := func(to string) File {
		return File{Path: "f", Target: "/etc/new/f", Type: typeSymlink, Link: "/var/lib/op-dbus/staging/core/" + to, Parents: []string{"/etc/new"}}
	}
	directory := func(mode string) File {
		return File{Path: "f", Target: "/etc/d", Type: typeDirectory, Mode: mode, Owner: "3", Group: "root"}
	}
	bare := func(f File) File {
		f.Mode, f.Owner, f.Group = "", "", ""
		return f
	}
	moved := func(f File, target string) File {
		f.Target = target
		return f
	}
	for name, s := range map[string]providertest.Suite{
		"symlink":                {A: link("a"), B: link("b")},
		"copy":                   {A: copied(typeCopy, "one"), B: copied(typeCopy, "two"), Bare: bare(copied(typeCopy, "one"))},
		"directory":              {A: directory("0700"), B: directory("1777"), Bare: bare(directory("0700"))},
		"symlink becomes copy":   {A: link("a"), B: moved(copied(typeCopy, "two"), "/etc/new/f")},
		"copy becomes symlink":   {A: moved(copied(typeCopy, "two"), "/etc/new/f"), B: link("a")},
		"copy becomes directory": {A: moved(copied(typeCopy, "two"), "/etc/d"), B: directory("0700")},
		"a new target":           {A: moved(link("a"), "/etc/new/f"), B: moved(link("a"), "/usr/local/bin/f")},
		"copy once":              {A: copied(typeCopyOnce, "one"), B: copied(typeCopy, "two")},
	} {
		t.Run("file/"+name, func(t *testing.T) {
			w := newWorld(t)
			w.staged("f", "one")
			w.earlier("f", "two")
			s.Kind, s.Site, s.Addr = w.kind("file"), w.site, w.addr("file", "f")
			s.Dirs = []string{w.Path("/etc"), w.Path("/usr"), w.site.Dir}
			providertest.Run(t, s)
		})
	}
	content := func(text, mode string) Payload {
		return Payload{Path: "p", Type: typeFile, Mode: mode, Owner: "root", Group: "5", Size: int64(len(text)), Digest: digest(text), Content: &text}
	}
	for name, s := range map[string]providertest.Suite{
		"file":                 {A: content("one", "0644"), B: content("three", "4755"), Bare: func() state.Object { p := content("one", ""); p.Group = ""; return p }()},
		"mode":                 {A: content("one", "0644"), B: content("one", "0600")},
		"symlink":              {A: Payload{Path: "p", Type: typeSymlink, Link: "x"}, B: Payload{Path: "p", Type: typeSymlink, Link: "../y"}},
		"directory":            {A: Payload{Path: "p", Type: typeDirectory, Mode: "0755", Owner: "root", Group: "root"}, B: Payload{Path: "p", Type: typeDirectory, Mode: "2700", Owner: "9", Group: "root"}},
		"file becomes symlink": {A: content("one", "0644"), B: Payload{Path: "p", Type: typeSymlink, Link: "x"}},
	} {
		t.Run("payload/"+name, func(t *testing.T) {
			w := newWorld(t)
			w.staged("neighbour", "stays")
			s.Kind, s.Site, s.Addr, s.Dirs = w.kind("payload"), w.site, w.addr("payload", "p"), []string{w.site.Dir}
			providertest.Run(t, s)
		})
	}
	t.Run("marker", func(t *testing.T) {
		w := newWorld(t)
		providertest.Run(t, providertest.Suite{Kind: w.kind("marker"), Site: w.site, Addr: w.addr("marker", markerName), Dirs: []string{w.site.Dir},
			A: Marker{Component: "core-dbus", Version: "1.0.0"}, B: Marker{Component: "core-dbus", Version: "1.1.0"}})
	})
	require.NotEmpty(t, Kinds(state.Host{}))
}

// index is one of the stage's indexes.
func (w *world) index(of string) *tree.Index { return tree.Load(newHost(w.Host).index(w.node, of)) }
