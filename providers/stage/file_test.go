package stage

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/state"
)

func (w *world) read(want File) *File {
	w.t.Helper()
	lives, err := w.kind("file").Read(w.t.Context(), []state.Addr{w.addr("file", want.Path)}, []state.Object{want})
	require.NoError(w.t, err)
	if lives[0] == nil {
		return nil
	}
	f := lives[0].(File)
	return &f
}

func change(addr state.Addr, before, after *File) state.Change {
	c := state.Change{Addr: addr}
	if before != nil {
		c.Before = *before
	}
	if after != nil {
		c.After = *after
	}
	return c
}

func (w *world) apply(before, after *File) error {
	return w.kind("file").Apply(w.t.Context(), w.site, []state.Change{change(w.addr("file", "f"), before, after)})
}

// plan is what the engine does between reading and applying: complete what is wanted, read again, and claim what is not ours.
func (w *world) plan(made, want *File) (File, *File, error) {
	w.t.Helper()
	it := state.PlannedObject{Addr: w.addr("file", "f"), Want: *want}
	if live := w.read(*want); live != nil {
		it.Live = *live
	}
	if made != nil {
		it.Made = *made
	}
	items := []state.PlannedObject{it}
	require.NoError(w.t, w.kind("file").Plan(w.t.Context(), items))
	planned := items[0].Want.(File)
	live := w.read(planned)
	if live == nil || w.kind("file").Owns(it.Made, *live) {
		return planned, live, nil
	}
	claimed, err := w.kind("file").Claim(planned, *live)
	if err != nil {
		return planned, live, err
	}
	return claimed.(File), live, nil
}

func (w *world) etc() string { return providertest.World(w.t, w.Path("/etc")) }

func link(target string) File {
	return File{Path: "f", Target: target, Type: typeSymlink, Link: "/var/lib/op-dbus/staging/core/f", OnConflict: onFail}
}

func copied(target, typ, content string) File {
	return File{Path: "f", Target: target, Type: typ, Digest: digest(content), Mode: "0644", Owner: "root", Group: "root", OnConflict: onFail}
}

// foreign are things that somebody else may have put at /etc/x.
var foreign = map[string]func(t *testing.T, path string){
	"file":      func(t *testing.T, path string) { require.NoError(t, os.WriteFile(path, []byte("theirs"), 0o640)) },
	"symlink":   func(t *testing.T, path string) { require.NoError(t, os.Symlink("theirs", path)) },
	"directory": func(t *testing.T, path string) { providertest.Write(t, path+"/theirs", "theirs") },
	"fifo":      func(t *testing.T, path string) { require.NoError(t, unix.Mkfifo(path, 0o600)) },
}

func TestConflict(t *testing.T) {
	w := newWorld(t)
	w.staged("f", "ours")
	wants := map[string]File{
		"link": link("/etc/x"), "copy": copied("/etc/x", typeCopy, "ours"),
		"directory": {Path: "f", Target: "/etc/x", Type: typeDirectory, Mode: "0700", Owner: "root", Group: "root"},
	}
	for what, put := range foreign {
		for name, want := range wants {
			t.Run("a "+what+" in the way of a "+name+" is left as it is", func(t *testing.T) {
				path := w.Path("/etc/x")
				put(t, path)
				defer os.RemoveAll(path)
				before := w.etc()
				_, _, err := w.plan(nil, &want)
				require.ErrorContains(t, err, "/etc/x is there already and is not opdbus' own: a ")
				require.ErrorContains(t, err, `on_conflict = "backup"`)
				want.OnConflict = onAdopt
				_, _, err = w.plan(nil, &want)
				require.ErrorContains(t, err, "cannot be adopted")
				require.ErrorContains(t, w.apply(nil, &want), "appeared since it was planned")
				if err := w.apply(&want, nil); err != nil { // it could be ours, and edited: neither is removed
					require.ErrorContains(t, err, "changed since it was planned")
				}
				assert.Equal(t, before, w.etc())
			})
			t.Run("a "+what+" gives way to a "+name+" and comes back", func(t *testing.T) {
				path := w.Path("/etc/x")
				put(t, path)
				defer os.RemoveAll(path)
				before := w.etc()
				want.OnConflict = onBackup
				after, live, err := w.plan(nil, &want)
				require.NoError(t, err)
				assert.Equal(t, "/etc/.x.opdbus-backup", after.Backup)
				require.NoError(t, w.apply(live, &after))
				there := w.etc()
				require.True(t, state.Same(after, *w.read(after)))
				require.NoError(t, w.apply(live, &after), "again")
				require.Equal(t, there, w.etc())
				require.NoError(t, w.apply(&after, live), "inverse")
				require.Equal(t, before, w.etc())
				require.NoError(t, w.apply(&after, live), "inverse again")
				require.Equal(t, before, w.etc())
				// A cut between the making of the new thing under the backup's name and the exchange.
				half := after
				half.Target, half.Backup = after.Backup, ""
				require.NoError(t, w.apply(nil, &half))
				require.NoError(t, w.apply(&after, live), "inverse of the half")
				require.Equal(t, before, w.etc())
				require.NoError(t, w.apply(nil, &half))
				require.NoError(t, w.apply(live, &after), "forward from the half")
				require.Equal(t, there, w.etc())
				// Deleting puts it back, and putting ours back takes it aside again.
				made := after
				live = w.read(made)
				require.NoError(t, w.apply(live, nil))
				require.Equal(t, before, w.etc())
				assert.False(t, w.kind("file").Owns(made, *w.read(made)), "what is back is not ours")
				require.NoError(t, w.apply(live, nil), "again")
				require.Equal(t, before, w.etc())
				require.NoError(t, w.apply(nil, live), "inverse of the deletion")
				require.Equal(t, there, w.etc())
				require.NoError(t, w.apply(live, nil))
				require.Equal(t, before, w.etc())
			})
		}
	}
	t.Run("a backup in the way of a backup is a conflict", func(t *testing.T) {
		providertest.Write(t, w.Path("/etc/x"), "theirs")
		providertest.Write(t, w.Path("/etc/.x.opdbus-backup"), "older")
		defer os.Remove(w.Path("/etc/x"))
		defer os.Remove(w.Path("/etc/.x.opdbus-backup"))
		before := w.etc()
		want := link("/etc/x")
		want.OnConflict = onBackup
		_, _, err := w.plan(nil, &want)
		require.ErrorContains(t, err, "something is there already")
		want.Backup = "/etc/.x.opdbus-backup"
		require.ErrorContains(t, w.apply(w.read(link("/etc/x")), &want), "in the way of keeping")
		assert.Equal(t, before, w.etc())
	})
	t.Run("what is wanted already can be adopted", func(t *testing.T) {
		providertest.Write(t, w.Path("/etc/x"), "ours")
		defer os.Remove(w.Path("/etc/x"))
		want := copied("/etc/x", typeCopy, "ours")
		want.OnConflict = onAdopt
		after, live, err := w.plan(nil, &want)
		require.NoError(t, err)
		assert.True(t, state.Same(*live, after))
		want.Mode = "0600"
		_, _, err = w.plan(nil, &want)
		require.ErrorContains(t, err, "its mode is 0644 and not 0600")
	})
	t.Run("a target that cannot be gone to safely is a conflict", func(t *testing.T) {
		require.NoError(t, os.Mkdir(w.Path("/etc/users"), 0o755))
		require.NoError(t, os.Lchown(w.Path("/etc/users"), 1000, 1000))
		require.NoError(t, os.Symlink("/etc", w.Path("/etc/users/out")))
		require.NoError(t, os.Lchown(w.Path("/etc/users/out"), 1000, 1000))
		defer os.RemoveAll(w.Path("/etc/users"))
		want := link("/etc/users/out/x")
		_, _, err := w.plan(nil, &want)
		require.ErrorContains(t, err, "cannot be gone to safely: what uid 1000 owns leads to /, which uid 0 owns")
		require.ErrorContains(t, w.apply(nil, &want), "cannot go to /etc/users/out")
		require.NoFileExists(t, w.Path("/etc/x"))
	})
}

func TestFile(t *testing.T) {
	t.Run("an edited copy is ours, is put right, and its edit can be had back", func(t *testing.T) {
		w := newWorld(t)
		w.staged("f", "ours")
		want := copied("/etc/x", typeCopy, "ours")
		require.NoError(t, w.apply(nil, &want))
		providertest.Write(t, w.Path("/etc/x"), "edit")
		edited := w.read(want)
		require.Equal(t, digest("edit"), edited.Digest)
		require.True(t, w.kind("file").Owns(want, *edited))
		before := w.etc()
		require.NoError(t, w.kind("file").Save(t.Context(), w.site, []state.Change{change(w.addr("file", "f"), edited, &want)}))
		require.NoError(t, w.apply(edited, &want))
		assert.Equal(t, want.Digest, w.read(want).Digest)
		require.NoError(t, w.apply(&want, edited), "from what was put aside")
		assert.Equal(t, before, w.etc())
	})
	t.Run("what changes after it was planned is not overwritten", func(t *testing.T) {
		w := newWorld(t)
		w.staged("f", "two")
		w.earlier("f", "one")
		one, two := copied("/etc/x", typeCopy, "one"), copied("/etc/x", typeCopy, "two")
		require.NoError(t, w.apply(nil, &one))
		providertest.Write(t, w.Path("/etc/x"), "edit")
		before := w.etc()
		require.ErrorContains(t, w.apply(&one, &two), "changed since it was planned")
		require.ErrorContains(t, w.apply(&one, nil), "changed since it was planned")
		assert.Equal(t, before, w.etc())
	})
	t.Run("content that is nowhere is an error that says which", func(t *testing.T) {
		w := newWorld(t)
		want := copied("/etc/x", typeCopy, "gone")
		require.ErrorContains(t, w.apply(nil, &want), want.Digest)
		require.NoFileExists(t, w.Path("/etc/x"))
	})
	t.Run("copy-if-not-exists leaves what is there and what was edited", func(t *testing.T) {
		w := newWorld(t)
		w.staged("f", "ours")
		want := copied("/etc/x", typeCopyOnce, "ours")
		kind := w.kind("file")

		require.NoError(t, w.apply(nil, &want))
		made := want
		require.True(t, kind.Owns(made, *w.read(made)))
		providertest.Write(t, w.Path("/etc/x"), "edit")
		assert.True(t, state.Same(*w.read(want), want), "an edit is no drift")
		assert.False(t, kind.Owns(made, *w.read(made)), "and is the user's")
		require.NoError(t, w.apply(&made, nil))
		assert.FileExists(t, w.Path("/etc/x"))

		claimed, live, err := w.plan(nil, &want)
		require.NoError(t, err, "what is there already is no conflict")
		assert.True(t, state.Same(claimed, *live))
		assert.True(t, claimed.Kept)
		providertest.Write(t, w.Path("/etc/x"), "ours")
		assert.False(t, kind.Owns(claimed, *w.read(claimed)), "and is never ours to remove")
	})
	t.Run("made directories go when they are empty, whoever leaves last", func(t *testing.T) {
		w := newWorld(t)
		before := w.etc()
		a, b := link("/etc/new/deep/a"), link("/etc/new/b")
		b.Path = "g"
		items := []state.PlannedObject{{Addr: w.addr("file", "f"), Want: a}, {Addr: w.addr("file", "g"), Want: b}}
		require.NoError(t, w.kind("file").Plan(t.Context(), items))
		a, b = items[0].Want.(File), items[1].Want.(File)
		assert.Equal(t, []string{"/etc/new", "/etc/new/deep"}, a.Parents)
		assert.Equal(t, []string{"/etc/new"}, b.Parents)
		require.NoError(t, w.apply(nil, &a))
		require.NoError(t, w.apply(nil, &b))
		c := link("/etc/new/deep/c")
		c.Path = "h"
		items = []state.PlannedObject{{Addr: w.addr("file", "f"), Made: a, Live: a, Want: a}, {Addr: w.addr("file", "h"), Want: c}}
		require.NoError(t, w.kind("file").Plan(t.Context(), items))
		assert.Equal(t, a.Parents, items[1].Want.(File).Parents, "what was made for another is shared")
		require.NoError(t, w.apply(&a, nil))
		assert.NoDirExists(t, w.Path("/etc/new/deep"))
		assert.DirExists(t, w.Path("/etc/new"))
		require.NoError(t, w.apply(&b, nil))
		assert.Equal(t, before, w.etc())
	})
	t.Run("a made directory that holds something of others is left, and no longer ours", func(t *testing.T) {
		w := newWorld(t)
		d := File{Path: "f", Target: "/etc/d", Type: typeDirectory, Mode: "0755", Owner: "root", Group: "root"}
		require.NoError(t, w.apply(nil, &d))
		providertest.Write(t, w.Path("/etc/d/theirs"), "theirs")
		require.NoError(t, w.apply(&d, nil))
		assert.FileExists(t, w.Path("/etc/d/theirs"))
		assert.False(t, w.kind("file").Owns(d, *w.read(d)))
	})
	t.Run("a new target leaves nothing at the old one", func(t *testing.T) {
		w := newWorld(t)
		before := w.etc()
		made, want := link("/etc/old/x"), link("/etc/new/x")
		made.Parents = []string{"/etc/old"}
		require.NoError(t, w.apply(nil, &made))
		after, live, err := w.plan(&made, &want)
		require.NoError(t, err)
		require.NotNil(t, live)
		assert.Equal(t, "/etc/old/x", live.Target)
		there := w.etc()
		require.NoError(t, w.apply(live, &after))
		assert.NoDirExists(t, w.Path("/etc/old"))
		require.True(t, state.Same(after, *w.read(after)))
		require.NoError(t, w.apply(&after, live))
		require.Equal(t, there, w.etc())
		require.NoError(t, w.apply(live, &after))
		require.NoError(t, w.apply(&after, nil))
		require.Equal(t, before, w.etc())
	})
	t.Run("reading a copy again does not open it, and an edit of the same size is seen", func(t *testing.T) {
		w := newWorld(t)
		w.staged("f", "ours")
		want := copied("/etc/x", typeCopy, "ours")
		require.NoError(t, w.apply(nil, &want))
		entries := w.index(ofCopies).Entries()
		require.Len(t, entries, 1)
		assert.Equal(t, "etc/x", entries[0].Path)
		var st unix.Stat_t
		require.NoError(t, unix.Stat(w.Path("/etc/x"), &st))
		providertest.Write(t, w.Path("/etc/x"), "OURS")
		require.NoError(t, unix.UtimesNanoAt(unix.AT_FDCWD, w.Path("/etc/x"), []unix.Timespec{st.Atim, st.Mtim}, 0))
		assert.Equal(t, digest("OURS"), w.read(want).Digest)
		require.NoError(t, w.apply(w.read(want), nil))
		assert.Empty(t, w.index(ofCopies).Entries())
	})
	t.Run("what a cut left of a replacement goes when the change is taken back", func(t *testing.T) {
		w := newWorld(t)
		one, two := link("/etc/x"), link("/etc/x")
		two.Link += "2"
		require.NoError(t, w.apply(nil, &one))
		before := w.etc()
		require.NoError(t, os.Symlink(two.Link, w.Path("/etc/"+hostfs.TempName("x"))))
		require.NoError(t, w.apply(&two, &one))
		assert.Equal(t, before, w.etc())
	})
}
