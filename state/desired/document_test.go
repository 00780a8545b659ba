package desired_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/desired"
)

// TestTranslate translates each state document in testdata/documents, and compares what comes of it and all that is said about it.
func TestTranslate(t *testing.T) {
	cases, err := filepath.Glob("testdata/documents/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			require.NoError(t, err)
			dir := write(t, "state.json", string(archive.Files[0].Data))

			hcl, files, diags := desired.Translate(filepath.Join(dir, "state.json"))

			got := []txtar.File{archive.Files[0]}
			if hcl != nil {
				got = append(got, txtar.File{Name: "want.hcl", Data: hcl})
			}
			if said := strings.ReplaceAll(text(t, files, diags), dir+"/", ""); said != "" {
				got = append(got, txtar.File{Name: "said", Data: []byte(said)})
			}
			archived := txtar.Format(&txtar.Archive{Comment: archive.Comment, Files: got})
			if os.Getenv("UPDATE") != "" {
				require.NoError(t, os.WriteFile(path, archived, 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, string(want), string(archived))
			assert.Equal(t, diags.HasErrors(), hcl == nil)
			formatted(t, hcl)
		})
	}
}

// formatted says that a text is HCL, as it is formatted.
func formatted(t testing.TB, hcl []byte) {
	again, diags := desired.Format(hcl, "main.hcl")
	require.Empty(t, diags)
	require.Equal(t, string(hcl), string(again))
}

func TestStateDocument(t *testing.T) {
	const source = `{"version": 1, "plugins": {
  "systemd": {"units": {
    "a.service": {"enabled": true},
    "b.service": {"active_state": "active", "enabled": false}
  }},
  "net": {"interfaces": []}
}}`
	one := func(dir, name string) desired.Options {
		o := options(dir)
		o.File = name
		return o
	}
	t.Run("gives the configuration that its translation gives", func(t *testing.T) {
		dir := write(t, "state.json", source, "other.hcl", `stage "x" {}`, "x.auto.vars.hcl", "v = 1\n")
		hcl, _, diags := desired.Translate(filepath.Join(dir, "state.json"))
		require.Empty(t, diags)
		want := loadDir(t, options(write(t, "main.hcl", string(hcl))))

		got := loadDir(t, one(dir, "state.json"))

		assert.Equal(t, want.Digest, got.Digest)
		require.Len(t, got.Nodes, 2)
		for i, n := range got.Nodes {
			assert.Equal(t, want.Nodes[i].Addr, n.Addr)
			assert.Equal(t, want.Nodes[i].Self, n.Self)
			require.Len(t, n.Objects, len(want.Nodes[i].Objects))
			for j, o := range n.Objects {
				assert.Equal(t, want.Nodes[i].Objects[j].Object, o.Object)
			}
			assert.Equal(t, len(want.Nodes[i].DependsOn), len(n.DependsOn))
		}
		assert.Equal(t, "network.net", got.Nodes[1].Addr.String())
		assert.Equal(t, "plugin.systemd", got.Nodes[1].DependsOn[0].On.String())
	})
	t.Run("has its nodes, objects and attributes where the document says them", func(t *testing.T) {
		got := loadDir(t, one(write(t, "state.json", source), "state.json"))
		n := got.Nodes[0]
		b := n.Objects[slices.IndexFunc(n.Objects, func(d state.Declared) bool { return d.Addr.Key == "b.service" })]
		assert.Equal(t, "state.json:2,3", n.Source.String())
		assert.Equal(t, "state.json:6,3", got.Nodes[1].DependsOn[0].Source.String())
		assert.Equal(t, "state.json:4,5", b.Source.String())
		assert.Equal(t, "state.json:4,45", b.Attr("enabled").String())
		assert.Equal(t, "state.json:4,5", b.Attr("content").String())
	})
	t.Run("is told its mistakes that a configuration would be", func(t *testing.T) {
		said := mistakesOf(t, one(write(t, "state.json", `{"version": 1, "plugins": {
  "net": {"interfaces": [
    {"name": "br0", "type": "bridge"}
  ]}
}}`), "state.json"))
		assert.Contains(t, said, "state.json line 3, in plugins.net.interfaces[0]:\n   3:     {\"name\": \"br0\", \"type\": \"bridge\"}\n")
		assert.Contains(t, said, `Blocks of type "bridge" are not expected here.`)
	})
	t.Run("is not read as text that is not UTF-8, null, nests too deeply, or is no file", func(t *testing.T) {
		assert.Contains(t, mistakesOf(t, one(write(t, "state.json", "{\"\xff\": 1}"), "state.json")), "Byte 2 is not UTF-8")
		assert.Contains(t, mistakesOf(t, one(write(t, "state.json", "null"), "state.json")), "has to be an object")
		assert.Contains(t, mistakesOf(t, one(write(t, "state.json", strings.Repeat("[", 9000)), "state.json")), "Nested too deeply")
		_, files, diags := desired.Translate(t.TempDir())
		assert.Contains(t, text(t, files, diags), "it is not a regular file")
	})
}

// FuzzStateDocument translates whatever it is given: what comes of it is formatted, and loads as the document itself does.
func FuzzStateDocument(f *testing.F) {
	cases, err := filepath.Glob("testdata/documents/*.txtar")
	require.NoError(f, err)
	for _, path := range cases {
		archive, err := txtar.ParseFile(path)
		require.NoError(f, err)
		f.Add(string(archive.Files[0].Data))
	}
	f.Add(`{"version":1,"plugins":{"systemd":{"units":{"${x}%{if}\u0000\ud800\"\n":{"properties":{"a b":"$${x}","\\":"\n"}}}}}}`)
	f.Fuzz(func(t *testing.T, src string) {
		dir := write(t, "state.json", src)
		hcl, files, diags := desired.Translate(filepath.Join(dir, "state.json"))
		text(t, files, diags)
		require.Equal(t, diags.HasErrors(), hcl == nil)
		formatted(t, hcl)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		o := options(dir)
		o.File = "state.json"
		config, files, diags := desired.Load(ctx, o)
		require.True(t, diags.HasErrors() || config != nil)
		text(t, files, diags)
		if hcl == nil {
			return
		}
		written, _, translated := desired.Load(ctx, options(write(t, "main.hcl", string(hcl))))
		require.Equal(t, translated.HasErrors(), diags.HasErrors())
		require.Equal(t, written == nil, config == nil)
		if config != nil {
			require.Equal(t, written.Digest, config.Digest)
		}
	})
}

// TestTranslateWhatever puts every sort of value into every place of a document that uses all there is.
func TestTranslateWhatever(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/documents/everything.txtar")
	require.NoError(t, err)
	var whole any
	require.NoError(t, json.Unmarshal(archive.Files[0].Data, &whole))
	path := filepath.Join(write(t, "state.json", ""), "state.json")
	refused, translated := 0, 0
	try := func() {
		src, err := json.Marshal(whole)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, src, 0o644))
		hcl, _, diags := desired.Translate(path)
		require.Equal(t, diags.HasErrors(), hcl == nil)
		if hcl == nil {
			refused++
			return
		}
		translated++
		formatted(t, hcl)
	}
	var each func(v any, put func(any))
	each = func(v any, put func(any)) {
		for _, odd := range []any{nil, true, -1.5, "${x}", []any{nil}, map[string]any{"\"": nil}} {
			put(odd)
			try()
		}
		put(v)
		switch v := v.(type) {
		case map[string]any:
			for name, inner := range v {
				each(inner, func(odd any) { v[name] = odd })
			}
		case []any:
			for i, inner := range v {
				each(inner, func(odd any) { v[i] = odd })
			}
		}
	}
	each(whole, func(odd any) { whole = odd })
	assert.NotZero(t, refused)
	assert.NotZero(t, translated)
}
