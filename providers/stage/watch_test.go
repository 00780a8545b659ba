package stage

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/state"
)

// do makes steps of functions that may fail.
func do(t *testing.T, fs ...func() error) func() {
	return func() {
		for _, f := range fs {
			require.NoError(t, f())
		}
	}
}

func TestWatchFiles(t *testing.T) {
	w := newWorld(t)
	at := func(below string) string { return w.Path("/etc/" + below) }
	write := func(below, content string) func() error {
		return func() error { return os.WriteFile(at(below), []byte(content), 0o644) }
	}
	rename := func(from, to string) func() error {
		return func() error { return os.Rename(at(from), at(to)) }
	}
	mkdir := func(below string) func() error { return func() error { return os.MkdirAll(at(below), 0o755) } }
	remove := func(below string) func() error { return func() error { return os.RemoveAll(at(below)) } }
	link := func(text, below string) func() error { return func() error { return os.Symlink(text, at(below)) } }
	require.NoError(t, os.WriteFile(w.Path("/etc/passwd"), []byte("www:x:33:33::/:/\n"), 0o644))
	do(t, mkdir("app"), write("app/copy", "a"), link("/x", "app/link"), mkdir("real/sub"), write("real/sub/via", "v"), link("real", "linked"), mkdir("bell"), write("bell/bell", ""))()

	s := providertest.WatchSuite{Kind: w.kind("file")}
	add := func(key, target string, f File) {
		f.Path, f.Target = key, "/etc/"+target
		s.Addrs, s.Made = append(s.Addrs, w.addr("file", key)), append(s.Made, f)
	}
	add("copy", "app/copy", File{Type: typeCopy})
	add("link", "app/link", File{Type: typeSymlink, Link: "/x"})
	add("missing", "new/deep/missing", File{Type: typeCopy})
	add("moved", "bell/moved", File{Type: typeCopy, Was: "/etc/app/old"})
	add("owned", "bell/owned", File{Type: typeCopy, Owner: "www"})
	add("via", "linked/sub/via", File{Type: typeCopy})
	add("~bell", "bell/bell", File{Type: typeCopy})
	s.Bell = at("bell/bell")
	s.When("what stands beside is nobody's", do(t, write("app/other", "x"), write("else", "x"), mkdir("app/dir")))
	s.When("reading is nothing", func() { _, err := os.ReadFile(at("app/copy")); require.NoError(t, err) })
	s.When("an edit", do(t, write("app/copy", "b")), "copy")
	s.When("a mode", do(t, func() error { return os.Chmod(at("app/copy"), 0o600) }), "copy")
	s.When("an owner", do(t, func() error { return os.Lchown(at("app/link"), 1, 1) }), "link")
	s.When("a removal", do(t, remove("app/copy")), "copy")
	s.When("it comes back", do(t, write("app/copy", "a")), "copy")
	s.When("replaced by rename", do(t, write("app/temp", "c"), rename("app/temp", "app/copy")), "copy")
	s.When("moved away", do(t, rename("app/copy", "app/elsewhere")), "copy")
	s.When("and back", do(t, rename("app/elsewhere", "app/copy")), "copy")
	s.When("a link is replaced", do(t, link("/y", "app/temp"), rename("app/temp", "app/link")), "link")
	s.When("where it moved away from", do(t, write("app/old", "x")), "moved")
	s.When("a parent of what is missing comes", do(t, mkdir("new")), "missing")
	s.When("and the next with all", do(t, mkdir("new/deep"), write("new/deep/missing", "x")), "missing")
	s.When("an edit of what was missing", do(t, write("new/deep/missing", "y")), "missing")
	s.When("something beside it", do(t, write("new/deep/other", "y")))
	s.When("a parent is removed", do(t, remove("new")), "missing")
	s.When("and recreated at once", do(t, mkdir("new/deep"), remove("new"), mkdir("new/deep"), write("new/deep/missing", "z")), "missing")
	s.When("and is watched again", do(t, write("new/deep/missing", "zz")), "missing")
	s.When("a parent is moved away", do(t, rename("app", "gone")), "copy", "link", "moved")
	s.When("what is in it is nobody's then", do(t, write("gone/copy", "x")))
	s.When("and back", do(t, rename("gone", "app")), "copy", "link", "moved")
	s.When("and is watched again", do(t, write("app/copy", "w")), "copy")
	s.When("a parent goes and comes back at once", do(t, rename("app", "gone"), rename("gone", "app")), "copy", "link", "moved")
	s.When("and is watched still", do(t, write("app/copy", "v")), "copy")
	s.When("another takes a parent's place", do(t, mkdir("other"), write("other/copy", "o"), rename("app", "gone"), rename("other", "app")), "copy", "link", "moved")
	s.When("and is watched in its place", do(t, write("app/copy", "oo"), write("gone/copy", "x")), "copy")
	s.When("over a link in its path", do(t, write("real/sub/via", "w")), "via")
	s.When("the directory behind it goes", do(t, rename("real", "unreal")), "via")
	s.When("the link leads elsewhere", do(t, remove("linked"), link("unreal", "linked")), "via")
	s.When("and it is watched there", do(t, write("unreal/sub/via", "x")), "via")
	s.When("the link becomes a directory", do(t, remove("linked"), mkdir("linked/sub")), "via")
	s.When("a parent's mode, which says whether it can be gone through", do(t, func() error { return os.Chmod(at("linked"), 0o777) }), "via")
	s.When("what the owner's name means", do(t, write("passwd", "www:x:34:34::/:/\n")), "owned")
	providertest.RunWatch(t, s)
}

func TestWatchTrees(t *testing.T) {
	w := newWorld(t)
	w.staged("dir/a", "a")
	w.staged("b", "b")
	at := func(below string) string { return filepath.Join(w.site.Dir, below) }
	other := state.NodeAddr{Type: state.StageNode, Name: "zz"}
	site := providertest.Site(t, w.Host, other)
	s := providertest.WatchSuite{Kind: w.kind("payload"), Addrs: []state.Addr{w.addr("payload", "b"), w.addr("payload", "dir/a"), {Node: other, Kind: "payload", Key: "~bell"}}}
	for _, a := range s.Addrs {
		s.Made = append(s.Made, Payload{Path: a.Key, Type: typeFile})
	}
	s.Bell = filepath.Join(site.Dir, "~bell")
	providertest.Write(t, s.Bell, "")
	// Another tree takes the stage's place as a whole.
	exchange := func() {
		beside := w.site.Beside
		require.NoError(t, w.Subvolumes.Snapshot(w.site.Dir, beside, false))
		require.NoError(t, w.Subvolumes.Exchange(w.site.Dir, beside))
		require.NoError(t, w.Subvolumes.Delete(beside))
	}
	s.When("an edit", func() { providertest.Write(t, at("dir/a"), "x") }, "dir/a")
	s.When("opdbus' own is none of it", func() { providertest.Write(t, at(".opdbus/x"), "x") })
	s.When("the tree is exchanged", exchange, "b", "dir/a")
	s.When("the new one is watched", func() { providertest.Write(t, at("b"), "x") }, "b")
	s.When("below as well", func() { require.NoError(t, os.Remove(at("dir/a"))) }, "dir/a")
	providertest.RunWatch(t, s)

	t.Run("markers", func(t *testing.T) {
		other := newWorld(t)
		bell := state.NodeAddr{Type: state.StageNode, Name: "zz"}
		site := providertest.Site(t, other.Host, bell)
		mark := func(dir string) { providertest.Write(t, filepath.Join(dir, markerName), "") }
		mark(site.Dir)
		s := providertest.WatchSuite{
			Kind:  other.kind("marker"),
			Addrs: []state.Addr{{Node: other.node, Kind: "marker", Key: "core"}, {Node: bell, Kind: "marker", Key: "~bell"}},
			Made:  []state.Object{Marker{}, Marker{}},
			Bell:  filepath.Join(site.Dir, markerName),
		}
		s.When("an edit", func() { mark(other.site.Dir) }, "core")
		s.When("other files", func() { other.staged("x", "") })
		s.When("a removal", func() { require.NoError(t, os.Remove(filepath.Join(other.site.Dir, markerName))) }, "core")
		providertest.RunWatch(t, s)
	})
}
