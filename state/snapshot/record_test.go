package snapshot_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/snapshot"
)

var created = time.Date(2026, 11, 17, 14, 5, 22, 0, time.UTC)

func record(run, step int, phase snapshot.Phase, node string) snapshot.Record {
	return snapshot.Record{Head: snapshot.Head{
		Version: 1, Run: run, Step: step, Node: state.NodeAddr{Type: state.StageNode, Name: node},
		Phase: phase, Plan: "sha256:1234", Created: created, Existed: true,
	}}
}

func file(node, key string) state.Addr {
	return state.Addr{Node: state.NodeAddr{Type: state.StageNode, Name: node}, Kind: "file", Key: key}
}

func TestRecord(t *testing.T) {
	r := record(3, 2, snapshot.Pre, "core")
	r.Objects = []snapshot.Object{
		{Addr: file("core", "z"), Live: json.RawMessage(`{"target":"/bin/z"}`)},
		{Addr: file("core", "a <\"\\\x01\xff")},
	}
	data, err := snapshot.Encode(r)
	require.NoError(t, err)

	t.Run("reads as JSON, the objects last and in the order given", func(t *testing.T) {
		assert.Equal(t, `{"version":1,"run":3,"step":2,"node":"stage.core","phase":"pre","plan":"sha256:1234","created":"2026-11-17T14:05:22Z","existed":true,"objects":[
{"addr":"stage.core.file[\"z\"]","live":{"target":"/bin/z"}},
{"addr":"stage.core.file[\"a \u003c\\\"\\\\\\x01\\xff\"]","live":null}
]}
`, string(data))
		assert.True(t, json.Valid(data))
	})

	t.Run("reads back as it was", func(t *testing.T) {
		back, err := snapshot.Decode(data)
		require.NoError(t, err)
		assert.Equal(t, r, back)
	})

	t.Run("is not written without what orders it", func(t *testing.T) {
		_, err := snapshot.Encode(snapshot.Record{Head: snapshot.Head{Run: 1, Created: created}})
		assert.EqualError(t, err, "it names neither a node nor a subvolume")
	})

	for _, c := range []struct{ what, from, to, want string }{
		{"cut off in the head", `,"plan"`, "\x00", "it ends before the objects"},
		{"cut off in the objects", `"live":null`, "\x00", "unexpected EOF"},
		{"cut off before its end", "]}\n", "]\x00", "unexpected EOF"},
		{"empty", "{", "\x00", "unexpected EOF"},
		{"of another version", `"version":1`, `"version":2`, "it is of version 2, and only 1 is known here"},
		{"of a phase that is unknown", `"pre"`, `"later"`, `phase "later" is unknown`},
		{"of a negative run", `"run":3`, `"run":-3`, "run -3 and step 2 are not both numbers from 0"},
		{"of no node", `"node":"stage.core",`, ``, "it names neither a node nor a subvolume"},
		{"of a node that is none", `stage.core"`, `core"`, "node: invalid address"},
		{"of no time", `"created":"2026-11-17T14:05:22Z",`, ``, "it has no creation time"},
		{"with a field from elsewhere", `"run"`, `"ran"`, `it has an unknown field "ran"`},
		{"with a number for a name", `"stage.core"`, `7`, "node: "},
		{"with an object without an address", `"addr":"stage.core.file[\"z\"]",`, ``, "object 1 has no address"},
		{"with something behind it", "]}\n", "]}\n{}", "something follows the record's end"},
		{"with something behind the objects", "]}\n", "],\"more\":1}", "found more instead of }"},
		{"no object at all", `{"version"`, `["version"`, "found [ instead of {"},
	} {
		t.Run("is refused when it is "+c.what, func(t *testing.T) {
			damaged := strings.Replace(string(data), c.from, c.to, 1)
			require.NotEqual(t, string(data), damaged)
			damaged, _, _ = strings.Cut(damaged, "\x00")
			if strings.HasPrefix(c.what, "cut off in the head") {
				damaged += "}"
			}
			_, err := snapshot.Decode([]byte(damaged))
			assert.ErrorContains(t, err, c.want)
		})
	}
}

func manyObjects(n int) snapshot.Record {
	r := record(1, 1, snapshot.Pre, "core")
	live := json.RawMessage(`{"path":"` + strings.Repeat("usr/", 40) + `","mode":"0755","owner":"root","group":"root","digest":"` + strings.Repeat("0", 64) + `"}`)
	for i := range n {
		r.Objects = append(r.Objects, snapshot.Object{Addr: file("core", fmt.Sprintf("share/doc/some/where/file-%05d", i)), Live: live})
	}
	return r
}

func BenchmarkEncode10000(b *testing.B) {
	r := manyObjects(10_000)
	for b.Loop() {
		if _, err := snapshot.Encode(r); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzRecord(f *testing.F) {
	r := manyObjects(3)
	r.Objects[1].Live = nil
	data, err := snapshot.Encode(r)
	require.NoError(f, err)
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Add([]byte(`{"version":1,"objects":null}`))
	f.Add([]byte(`{"version":1,"node":"plugin.x[\"k\"]","phase":"post","created":"2026-11-17T14:05:22+01:00","objects":[{"addr":"stage.a","live":1}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := snapshot.Decode(data)
		if err != nil {
			return
		}
		again, err := snapshot.Encode(r)
		require.NoError(t, err)
		back, err := snapshot.Decode(again)
		require.NoError(t, err)
		r.Created = r.Created.UTC()
		assert.Equal(t, r.Head, back.Head)
		assert.Equal(t, len(r.Objects), len(back.Objects))
		for i, o := range back.Objects {
			assert.Equal(t, r.Objects[i], o)
		}
	})
}
