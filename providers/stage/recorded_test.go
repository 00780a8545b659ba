package stage

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/opdbus/opdbus/state"
)

// awkward are values that JSON escapes, that look like JSON, or that are plain.
func awkward() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom([]string{"", "a", "b", `a","digest":"b`, `a\nb`, "a\nb", `"`, "<&>", "\xff", "é", "a\u2028"}), rapid.String())
}

func TestRecorded(t *testing.T) {
	kinds := Kinds(state.Host{Store: "/store"})
	file := kinds.For(state.Addr{Node: state.NodeAddr{Type: state.StageNode}, Kind: "file"})
	payload := kinds.For(state.Addr{Node: state.NodeAddr{Type: state.StageNode}, Kind: "payload"})
	drawFile := func(t *rapid.T, name string) File {
		text := func(attr string) string { return awkward().Draw(t, name+" "+attr) }
		return File{Path: "p", Target: text("target"), Type: rapid.SampledFrom([]string{typeCopy, typeCopyOnce, typeSymlink}).Draw(t, name+" type"), Mode: text("mode"), Owner: text("owner"), Group: text("group"),
			Link: text("link"), Digest: text("digest"), Backup: text("backup"), Kept: rapid.Bool().Draw(t, name+" kept"), Parents: rapid.SampledFrom([][]string{nil, {"/p"}}).Draw(t, name+" parents")}
	}
	// What is written comes back with other characters where it is no UTF-8, so that entries are compared as they come back.
	back := func(t require.TestingT, k *state.Kind, o state.Object) (entry []byte, object state.Object) {
		entry, err := json.Marshal(o)
		require.NoError(t, err)
		object, err = k.Decode(entry)
		require.NoError(t, err)
		return entry, object
	}
	check := func(t require.TestingT, k *state.Kind, made, want state.Object) {
		entry, m := back(t, k, made)
		_, w := back(t, k, want)
		assert.Equal(t, state.Same(m, w), k.Recorded(entry, want), "%s", entry)
		own, _ := back(t, k, want)
		assert.True(t, k.Recorded(own, want), "%s", own)
	}

	t.Run("an entry of a file is told from every other", rapid.MakeCheck(func(t *rapid.T) {
		check(t, file, drawFile(t, "made"), drawFile(t, "want"))
	}))
	t.Run("also from one that differs in one attribute", rapid.MakeCheck(func(t *rapid.T) {
		made, other := drawFile(t, "made"), drawFile(t, "other")
		want := made
		switch rapid.IntRange(0, 7).Draw(t, "which") {
		case 0:
			want.Target = other.Target
		case 1:
			want.Type = other.Type
		case 2:
			want.Mode = other.Mode
		case 3:
			want.Owner = other.Owner
		case 4:
			want.Group = other.Group
		case 5:
			want.Link = other.Link
		case 6:
			want.Digest = other.Digest
		case 7:
			want.Backup, want.Kept, want.Parents = other.Backup, other.Kept, other.Parents
		}
		check(t, file, made, want)
	}))
	t.Run("an entry of a payload is told from every other", rapid.MakeCheck(func(t *rapid.T) {
		draw := func(name string) Payload {
			text := func(attr string) string { return awkward().Draw(t, name+" "+attr) }
			return Payload{Path: "p", Type: rapid.SampledFrom([]string{typeFile, typeSymlink}).Draw(t, name+" type"), Mode: text("mode"), Owner: text("owner"), Group: text("group"),
				Size: rapid.SampledFrom([]int64{0, 1, 10, -1}).Draw(t, name+" size"), Digest: text("digest"), Link: text("link")}
		}
		check(t, payload, draw("made"), draw("want"))
	}))
	t.Run("what nearly all entries say is told without decoding", func(t *testing.T) {
		f := File{Path: "bin/é", Target: "/usr/bin/é", Type: typeCopy, Mode: "0755", Owner: "root", Group: "root", Digest: "sha256:00", Parents: []string{"/usr"}}
		entry, _ := back(t, file, f)
		assert.True(t, (*files)(nil).Recorded(entry, f))
		f.Parents = nil
		entry, _ = back(t, file, f)
		assert.True(t, (*files)(nil).Recorded(entry, f))
		f.Mode = "0700"
		assert.False(t, (*files)(nil).Recorded(entry, f))
		p := Payload{Path: "bin/é", Type: typeFile, Mode: "0755", Owner: "root", Group: "root", Size: 17, Digest: "sha256:00"}
		entry, _ = back(t, payload, p)
		assert.True(t, (*payloads)(nil).Recorded(entry, p))
		p.Size = 1
		assert.False(t, (*payloads)(nil).Recorded(entry, p))
	})
	t.Run("an entry that cannot be read says nothing", func(t *testing.T) {
		assert.False(t, file.Recorded([]byte(`{"path":1}`), File{}))
		assert.False(t, file.Recorded([]byte(`null`), File{}))
	})
}
