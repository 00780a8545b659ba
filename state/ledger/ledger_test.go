package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
)

var (
	core = state.NodeAddr{Type: state.StageNode, Name: "core"}
	web  = state.NodeAddr{Type: state.StageNode, Name: "web", Key: `a "b"`}
)

func entry(name string, n int) Entry {
	return Entry{Object: fmt.Sprintf("file[%q]", name), Made: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))}
}

func text(t *testing.T, l *Ledger) string {
	t.Helper()
	b, err := l.Encode()
	require.NoError(t, err)
	return string(b)
}

func TestLedger(t *testing.T) {
	t.Run("is read back as it was written", func(t *testing.T) {
		l := New()
		l.Stamp("1.0.0", "host", "sha256:x", 7)
		l.Set(core, &Node{Run: 7, Objects: []Entry{entry("b", 1), entry("a", 2), {Object: `file["s"]`, Made: json.RawMessage(`{}`), Sensitive: []string{"digest"}}}})
		l.Set(web, &Node{DependsOn: []state.NodeAddr{core}, Run: 3, Objects: []Entry{entry(`q"uote`, 3)}})
		path := filepath.Join(t.TempDir(), "ledger.json")
		require.NoError(t, l.Save(path))
		back, err := Load(path)
		require.NoError(t, err)
		assert.Equal(t, text(t, l), text(t, back))
		assert.Equal(t, l.Head, back.Head)
		assert.Equal(t, `{"n":2}`, string(back.Node(core).Made(`file["a"]`)))
		assert.Nil(t, back.Node(core).Made(`file["c"]`))
		secret, at := back.Node(core).Entry(`file["s"]`)
		assert.Equal(t, []string{"digest"}, secret.Sensitive)
		assert.Equal(t, 2, at)
		assert.Equal(t, []state.NodeAddr{core}, back.Node(web).DependsOn)
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "what it holds may be secret")
	})
	t.Run("what it writes is read the fast way, and what others write as well", func(t *testing.T) {
		l := New()
		l.Set(core, &Node{Run: 7, Objects: []Entry{entry("b", 1), entry("back\\slash", 2)}})
		l.Set(web, &Node{Run: 3, Objects: []Entry{entry(`q"uote","made":{`, 3)}})
		data := []byte(text(t, l))
		_, nodes, ok := split(data)
		require.True(t, ok)
		for _, raw := range nodes {
			require.True(t, new(Node).lines(raw))
		}
		var indented bytes.Buffer
		require.NoError(t, json.Indent(&indented, data, "", "  "))
		for _, form := range [][]byte{data, indented.Bytes()} {
			back, err := Decode(form)
			require.NoError(t, err)
			for _, addr := range l.Addrs() {
				require.Len(t, back.Node(addr).Objects, len(l.Node(addr).Objects))
				for i, e := range l.Node(addr).Objects {
					assert.Equal(t, e.Object, back.Node(addr).Objects[i].Object)
					assert.JSONEq(t, string(e.Made), string(back.Node(addr).Objects[i].Made))
				}
			}
		}
	})
	t.Run("one that is not there owns nothing", func(t *testing.T) {
		l, err := Load(filepath.Join(t.TempDir(), "none"))
		require.NoError(t, err)
		assert.Empty(t, l.Addrs())
	})
	t.Run("a later format is refused", func(t *testing.T) {
		_, err := Decode([]byte(`{"version":2,"nodes":{}}`))
		assert.ErrorContains(t, err, "version 2")
	})
	t.Run("a dropped object leaves the others in order", func(t *testing.T) {
		l := New()
		l.Set(core, &Node{Objects: []Entry{entry("a", 1), entry("b", 2), entry("c", 3)}})
		l.Drop(state.Addr{Node: core, Kind: "file", Key: "b"})
		assert.Equal(t, []Entry{entry("a", 1), entry("c", 3)}, l.Node(core).Objects)
		l.Drop(state.Addr{Node: core, Kind: "file", Key: "a"})
		l.Drop(state.Addr{Node: core, Kind: "file", Key: "c"})
		require.NotNil(t, l.Node(core), "a node that has lost all to others is there until it goes itself")
		assert.Empty(t, l.Node(core).Objects)
		back, err := Decode([]byte(text(t, l)))
		require.NoError(t, err)
		assert.Equal(t, []state.NodeAddr{core}, back.Addrs())
		l.Set(core, &Node{})
		assert.Nil(t, l.Node(core), "a node that owns nothing is not there")
	})
	t.Run("restore gives back the same bytes", func(t *testing.T) {
		l := New()
		l.Set(core, &Node{DependsOn: []state.NodeAddr{web}, Run: 1, Objects: []Entry{entry("a", 1), entry("b", 2), entry("c", 3), entry("d", 4)}})
		before := text(t, l)
		l.Set(core, &Node{Run: 2, Objects: []Entry{entry("a", 9), entry("c", 3), entry("new", 5)}})
		gone := map[string]bool{`file["a"]`: true, `file["b"]`: true, `file["d"]`: true, `file["new"]`: true}
		l.Restore(core, []state.NodeAddr{web}, 1, gone, map[int]Entry{0: entry("a", 1), 1: entry("b", 2), 3: entry("d", 4)})
		assert.Equal(t, before, text(t, l))
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"version":1,"run":1,"nodes":{"stage.a":{"run":1,"objects":[{"object":"file[\"x\"]","made":{}}]}}}`))
	f.Add([]byte(`{"version":1,"nodes":{"stage.a":null,"x":{}}}`))
	f.Add([]byte(`{"version":2,"nodes":{}}`))
	f.Add([]byte("{\"version\":1,\"opdbus\":\"1\",\"host\":\"h\",\"config\":\"c\",\"run\":3,\"nodes\":{\n\"stage.a\":{\"depends_on\":[\"stage.b\"],\"run\":3,\"objects\":[\n" +
		"{\"object\":\"file[\\\"x\\\"]\",\"made\":{\"n\":1},\"sensitive\":[\"n\"]},\n{\"object\":\"file[\\\"y\\\"]\",\"made\":{}}]}}}\n"))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Decode(data)
		if err != nil {
			return
		}
		b, err := l.Encode()
		require.NoError(t, err)
		_, err = Decode(b)
		require.NoError(t, err, "what is written can be read")
	})
}
