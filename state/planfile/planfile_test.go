package planfile

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
)

func TestCodec(t *testing.T) {
	roundTrip := func(t require.TestingT, p *state.Plan) {
		written, err := encode(p, document{}, nil)
		require.NoError(t, err)
		again, _, err := decode(written, toApply(kinds()))
		require.NoError(t, err)
		require.Equal(t, p, again)
		want, err := p.Digest(key())
		require.NoError(t, err)
		digest, err := again.Digest(key())
		require.NoError(t, err)
		require.Equal(t, want, digest)
	}
	t.Run("gives back every member of a plan", func(t *testing.T) {
		f := &filler{choose: func() bool { return true }}
		roundTrip(t, f.plan())
	})
	t.Run("gives back any plan", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			f := &filler{choose: func() bool { return rapid.Bool().Draw(t, "set") }}
			roundTrip(t, f.plan())
		})
	})
	t.Run("applies objects of kinds that are known only, and shows all", func(t *testing.T) {
		written, err := encode(small(), document{}, nil)
		require.NoError(t, err)
		_, _, err = decode(written, toApply(nil))
		assert.EqualError(t, err, `stage.core.thing["hidden"] is of no kind that this opdbus knows`)
		p, _, err := decode(written, toShow(nil))
		require.NoError(t, err)
		assert.Equal(t, "one", p.Nodes[0].Changes[1].After.Key())
	})
}

func TestShown(t *testing.T) {
	text := func(t require.TestingT, p *state.Plan, key []byte) string {
		var b bytes.Buffer
		require.NoError(t, render.Text(&b, p, render.Options{Key: key, Kinds: kinds(), Verbose: true}))
		return b.String()
	}
	t.Run("reads as the plan does, without the store's key", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			f := &filler{choose: func() bool { return rapid.Bool().Draw(rt, "set") }}
			p := f.plan()
			for _, n := range p.Nodes {
				for i := range n.Changes {
					c := &n.Changes[i]
					if c.Sensitive != nil {
						c.Sensitive = []string{"secret"}
					}
					if was, ok := c.Before.(thing); ok && rapid.Bool().Draw(rt, "same") {
						was.Since++
						c.After = was
					}
				}
			}
			f2 := saved(t, p)
			shown, err := f2.Shown(kinds())
			require.NoError(rt, err)
			require.Equal(rt, text(rt, p, key()), text(rt, shown, nil))
		})
	})
	t.Run("holds nothing secret, nor what no plan shows", func(t *testing.T) {
		f := saved(t, small())
		plan, err := f.Document()
		require.NoError(t, err)
		shown, err := f.read(shownMember, largest)
		require.NoError(t, err)
		data, err := os.ReadFile(f.path)
		require.NoError(t, err)
		all := string(f.head) + string(plan) + string(shown) + string(data)
		assert.Contains(t, all, `"fingerprint":"hmac-sha256:`)
		for _, secret := range []string{"sesame", digestOf([]byte("content: open sesame")), "/srv/config"} {
			assert.NotContains(t, all, secret)
		}
		assert.NotContains(t, string(data), "content one")
	})
	t.Run("the JSON is what plan --json printed", func(t *testing.T) {
		p := small()
		f := saved(t, p)
		plan, err := f.Document()
		require.NoError(t, err)
		assert.Equal(t, string(options(t, p).Document), string(plan))
	})
}

func TestUnseal(t *testing.T) {
	t.Run("gives the plan with all that it is made from", func(t *testing.T) {
		p := small()
		from := filepath.Join(t.TempDir(), "source")
		large := strings.Repeat("0123456789abcdef", 3*chunk/16)
		require.NoError(t, os.WriteFile(from, []byte(large), 0o600))
		file := holding("file", large)
		file.Text, file.From = "", from
		p.Nodes[0].Changes = append(p.Nodes[0].Changes, state.Change{Addr: addr("file"), After: file})
		f := saved(t, p)
		require.NoError(t, os.Remove(from))

		dir := filepath.Join(t.TempDir(), "content")
		s, err := f.Unseal(key(), kinds(), dir)
		require.NoError(t, err)
		assert.NoDirExists(t, dir)
		require.NoError(t, s.Extract())

		assert.Equal(t, "hidden: content: open sesame\none: content one\ntwo: content one\nfile: "+large+"\n", contents(t, s.Plan))
		files, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Len(t, files, 3, "what is alike is there once")
		info, err := os.Stat(dir)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
		assert.Equal(t, f.Head.Digest, mustDigest(t, p))
		assert.Equal(t, p.Nodes[0].Verify, s.Plan.Nodes[0].Verify)
	})
	t.Run("knows what the configuration came to", func(t *testing.T) {
		wanted := func(text string) []*state.Node {
			return []*state.Node{{Addr: core(), Objects: []state.Declared{{Addr: addr("a"), Object: holding("a", text)}}}}
		}
		p := small()
		p.Wanted = wanted("one")
		s, err := saved(t, p).Unseal(key(), kinds(), "")
		require.NoError(t, err)
		same, err := Wanted(wanted("one"))
		require.NoError(t, err)
		assert.Equal(t, same, s.Wanted)
		other, err := Wanted(wanted("two"))
		require.NoError(t, err)
		assert.NotEqual(t, other, s.Wanted)
	})
	t.Run("a plan without contents needs no directory", func(t *testing.T) {
		f := saved(t, &state.Plan{Host: "0123"})
		s, err := f.Unseal(key(), kinds(), filepath.Join(t.TempDir(), "content"))
		require.NoError(t, err)
		require.NoError(t, s.Extract())
		assert.NoDirExists(t, s.dir)
		assert.True(t, s.Plan.Empty())
	})
	t.Run("takes the store's key", func(t *testing.T) {
		_, err := saved(t, small()).Unseal(bytes.Repeat([]byte{8}, 32), kinds(), "")
		assert.ErrorContains(t, err, "plan.sealed: it is damaged, or was changed after it was made")
	})
}

func mustDigest(t *testing.T, p *state.Plan) string {
	digest, err := p.Digest(key())
	require.NoError(t, err)
	return digest
}

func TestRefuse(t *testing.T) {
	h := saved(t, small()).Head
	here := Here{Host: "0123", Store: "/var/lib/op-dbus", Opdbus: "1.2.3", Key: key(), Now: h.Created.Add(59 * time.Minute)}
	assert.Empty(t, h.Refuse(here))
	for what, c := range map[string]struct {
		change func(*Here)
		want   string
	}{
		"another host":    {func(h *Here) { h.Host = "9" }, "the plan was made for the host with machine id 0123 and this one has 9; make a new plan here"},
		"another path":    {func(h *Here) { h.Store = "/srv" }, "the plan was made for the store /var/lib/op-dbus and this one is /srv; leave out --store, or make a new plan here"},
		"another key":     {func(h *Here) { h.Key = []byte("other") }, "the plan was made for another store than the one that is at /var/lib/op-dbus now; make a new plan here"},
		"its time":        {func(here *Here) { here.Now = h.Expires }, "the plan expired at 2026-01-02T04:04:05Z; make a new plan"},
		"another version": {func(h *Here) { h.Opdbus = "2" }, "the plan was made by opdbus 1.2.3 and this is 2, which may do it otherwise than it was shown; make a new plan"},
	} {
		t.Run("a plan is refused for "+what, func(t *testing.T) {
			there := here
			c.change(&there)
			assert.Equal(t, c.want, h.Refuse(there))
		})
	}
	t.Run("what a file says cannot act on a terminal", func(t *testing.T) {
		h.Host = "\x1b[2J" + strings.Repeat("x", 1000)
		why := h.Refuse(here)
		assert.Contains(t, why, `\x1b[2J`)
		assert.Less(t, len(why), 300)
	})
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "plan")
	left := func(t *testing.T) (names []string) {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	t.Run("nothing is there after a failure", func(t *testing.T) {
		p := small()
		o := options(t, p)
		o.Key = nil
		assert.ErrorContains(t, Write(path, p, o), "run opdbus init first")
		gone := holding("gone", "x")
		gone.Text, gone.From = "", filepath.Join(dir, "none")
		changed := holding("changed", "x")
		changed.Text = "y"
		directory := holding("directory", "x")
		directory.Text, directory.From = "", t.TempDir()
		for want, made := range map[string]thing{
			"no such file or directory; it was there when it was planned":                  gone,
			"a content of the configuration changed since it was planned; make a new plan": changed,
			directory.From + " is no regular file any more; make a new plan":               directory,
		} {
			p := &state.Plan{Nodes: []*state.NodePlan{{Addr: core(), Changes: []state.Change{{Addr: addr("x"), After: made}}}}}
			err := Write(path, p, options(t, p))
			assert.ErrorContains(t, err, want)
			assert.ErrorContains(t, err, path)
		}
		assert.Empty(t, left(t))
	})
	t.Run("is its owner's only, and each is another", func(t *testing.T) {
		p := small()
		ids := map[string]bool{}
		for range 2 {
			require.NoError(t, Write(path, p, options(t, p)))
			f, err := Open(path)
			require.NoError(t, err)
			ids[f.Head.ID] = true
			require.NoError(t, f.Close())
		}
		assert.Len(t, ids, 2)
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode())
		assert.Equal(t, []string{"plan"}, left(t))
	})
	t.Run("does not replace what is no file", func(t *testing.T) {
		link := filepath.Join(t.TempDir(), "link")
		require.NoError(t, os.Symlink(path, link))
		for _, there := range []string{dir, link, "/dev/null"} {
			p := small()
			assert.EqualError(t, Write(there, p, options(t, p)), "cannot save the plan as "+there+": something is there that is no regular file; choose another name")
		}
	})
}
