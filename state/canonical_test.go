package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A taken object keeps what was there before.
type taken struct {
	Value string `json:"value"`
	Found *taken `json:"found,omitempty"`
}

func (taken) Key() string { return "taken" }

type account struct {
	Name     string            `json:"name"`
	Password string            `json:"password,omitempty"`
	Tokens   []string          `json:"tokens,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	From     string            `json:"-"`
}

func (a account) Key() string { return a.Name }

type word string

func (w word) Key() string { return string(w) }

// sample is a plan made in a directory, with what has no order put in one way or, turned, the other way round.
func sample(dir string, turned bool) *Plan {
	core, web := NodeAddr{Type: StageNode, Name: "core"}, NodeAddr{Type: StageNode, Name: "web", Key: "a"}
	addr := Addr{Node: core, Kind: "account", Key: "a"}
	labels := map[string]string{}
	for i := range 50 {
		if turned {
			i = 49 - i
		}
		labels[fmt.Sprint(i)] = "x"
	}
	p := &Plan{
		Host: "machine", Hostname: "pve1", Config: "sha256:c", Commit: "1a2b3c4", Dir: dir, Run: 3,
		Nodes: []*NodePlan{{
			Addr: core, DependsOn: []NodeAddr{web, core}, TakesBack: "inverse", Disturbs: []string{"restarts a", "restarts b"},
			Verify: []Check{{Name: "v", Command: []string{"true"}, Timeout: time.Second}},
			Changes: []Change{
				{Addr: addr, After: account{"a", "s3cr3t", nil, labels, dir}, Sensitive: []string{"password", "tokens"}, Cause: CauseConfig, Source: Range{File: dir + "/sub/main.hcl", Line: 3, Byte: 40}},
				{Addr: addr, Before: account{Name: "b"}, Made: account{Name: "a", Labels: labels}, MadeAt: Addr{Node: web, Kind: "account", Key: "b"}, Cause: CauseDrift, Note: "n <&>"},
			},
		}, {Addr: web}},
		Skipped: []Skipped{{Addr: web, Reason: "r"}, {Addr: core, Reason: "r", Source: Range{File: dir + "/main.hcl", Line: 1}}},
		Outputs: []Output{{Name: "x", Value: []byte(`{"a":1,"b":[{"c":2,"d":3.10}]}`)}, {Name: "s", Value: []byte(`"s3cr3t"`), Sensitive: true}},
	}
	if turned {
		for _, n := range p.Nodes {
			slices.Reverse(n.DependsOn)
			slices.Reverse(n.Disturbs)
		}
		slices.Reverse(p.Nodes[0].Changes[0].Sensitive)
		slices.Reverse(p.Skipped)
		slices.Reverse(p.Outputs)
		p.Outputs[1].Value = []byte(` {"b": [{"d": 3.10, "c": 2}], "a": 1}`)
		p.Hostname, p.Commit, p.Run = "renamed", "", 4
	}
	return p
}

func TestCanonical(t *testing.T) {
	key := []byte("key")
	canonical := func(t *testing.T, p *Plan, key []byte) string {
		data, err := p.Canonical(key)
		require.NoError(t, err)
		for line := range bytes.Lines(data) {
			require.True(t, json.Valid(line), "%s", line)
		}
		return string(data)
	}
	t.Run("is one text", func(t *testing.T) {
		p := sample("/srv/config", false)
		p.Nodes, p.Outputs = p.Nodes[:1], nil
		p.Nodes[0].Changes = p.Nodes[0].Changes[1:]
		p.Nodes[0].Changes[0].Made = account{Name: "a"}
		assert.Equal(t, `{"version":1,"host":"machine","config":"sha256:c","skipped":[{"node":"stage.core","reason":"r"},{"node":"stage.web[\"a\"]","reason":"r"}]}
{"node":"stage.core","depends_on":["stage.core","stage.web[\"a\"]"],"takes_back":"inverse","disturbs":["restarts a","restarts b"],"verify":[{"name":"v","command":["true"],"timeout":1000000000}]}
{"object":"account[\"a\"]","action":"-","cause":"drift","before":{"name":"b"},"made":{"name":"a"},"made_at":"stage.web[\"a\"].account[\"b\"]","note":"n <&>"}
`, canonical(t, p, key))
	})
	t.Run("is the same from another directory, another run and in another order", func(t *testing.T) {
		assert.Equal(t, canonical(t, sample("/srv/config", false), key), canonical(t, sample("/home/me/elsewhere", true), key))
	})
	t.Run("differs with everything that is done", func(t *testing.T) {
		seen := map[string]string{canonical(t, sample("/d", false), key): "nothing"}
		for name, turn := range map[string]func(*Plan){
			"host": func(p *Plan) { p.Host = "other" }, "config": func(p *Plan) { p.Config = "other" },
			"on_failure": func(p *Plan) { p.OnFailure = "stop" }, "delete": func(p *Plan) { p.Nodes[0].Delete = true },
			"after":   func(p *Plan) { p.Nodes[1].After = []NodeAddr{p.Nodes[0].Addr} },
			"order":   func(p *Plan) { slices.Reverse(p.Nodes) },
			"changes": func(p *Plan) { slices.Reverse(p.Nodes[0].Changes) },
			"verify":  func(p *Plan) { p.Nodes[0].Verify[0].ExpectExit = 1 },
			"secret":  func(p *Plan) { p.Nodes[0].Changes[0].After = account{Name: "a", Password: "other"} },
			"made":    func(p *Plan) { p.Nodes[0].Changes[1].Made = account{Name: "other"} },
			"forget":  func(p *Plan) { p.Nodes[0].Changes[1].Forget = true },
			"output":  func(p *Plan) { p.Outputs[1].Value = []byte(`"other"`) },
		} {
			p := sample("/d", false)
			turn(p)
			got := canonical(t, p, key)
			assert.Empty(t, seen[got], "a plan with another %s has the same form", name)
			seen[got] = name
		}
	})
	t.Run("holds no secret and no path of the machine", func(t *testing.T) {
		for _, key := range [][]byte{nil, key} {
			for _, s := range []string{"s3cr3t", "/srv", "renamed", "1a2b3c4"} {
				assert.NotContains(t, canonical(t, sample("/srv/config", false), key), s)
			}
		}
	})
	t.Run("has a digest", func(t *testing.T) {
		digest, err := sample("/d", false).Digest(key)
		require.NoError(t, err)
		assert.Regexp(t, `^sha256:[0-9a-f]{64}$`, digest)
		other, err := sample("/d", false).Digest([]byte("other key"))
		require.NoError(t, err)
		assert.NotEqual(t, digest, other)
	})
	t.Run("takes no output that is not JSON", func(t *testing.T) {
		_, err := (&Plan{Outputs: []Output{{Name: "x", Value: []byte("{")}}}).Canonical(nil)
		assert.EqualError(t, err, "cannot write down the output x: unexpected EOF")
	})
}

func TestMask(t *testing.T) {
	c := Change{Before: account{Name: "a", Password: "old", Tokens: []string{"t"}}, After: account{Name: "a", Password: "new", Tokens: []string{"t"}}, Sensitive: []string{"password", "tokens[0].value", "name_of_another"}}
	t.Run("puts fingerprints in place of values", func(t *testing.T) {
		before, after, err := c.Masked([]byte("key"))
		require.NoError(t, err)
		again, other := Mask([]byte("key"), []byte(`"old"`)), Mask([]byte("key"), []byte(`"new"`))
		tokens := Mask([]byte("key"), []byte(`["t"]`)).Fingerprint
		assert.Regexp(t, `^hmac-sha256:[0-9a-f]{64}$`, tokens)
		assert.Equal(t, `{"name":"a","password":{"sensitive":true,"fingerprint":"`+again.Fingerprint+`"},"tokens":{"sensitive":true,"fingerprint":"`+tokens+`"}}`, string(before))
		assert.Equal(t, `{"name":"a","password":{"sensitive":true,"fingerprint":"`+other.Fingerprint+`"},"tokens":{"sensitive":true,"fingerprint":"`+tokens+`"}}`, string(after))
	})
	t.Run("has no fingerprints without a key, and sees the change all the same", func(t *testing.T) {
		ds, err := c.Differences(nil)
		require.NoError(t, err)
		mark := json.RawMessage(`{"sensitive":true}`)
		assert.Equal(t, []Difference{{Name: "password", Before: mark, After: mark, Sensitive: true}}, ds)
	})
	t.Run("masks what was found in the place of what is secret", func(t *testing.T) {
		over := taken{"new", &taken{"old", nil}}
		for sensitive, shows := range map[string]bool{"value": false, "": true} {
			c := Change{Before: taken{"old", nil}, After: over}
			if sensitive != "" {
				c.Sensitive = []string{sensitive}
			}
			_, after, err := c.Masked(nil)
			require.NoError(t, err)
			ds, err := c.Differences(nil)
			require.NoError(t, err)
			data, err := json.Marshal(ds)
			require.NoError(t, err)
			assert.Equal(t, shows, strings.Contains(string(after)+string(data), "old"))
		}
	})
	t.Run("is null for nothing", func(t *testing.T) {
		before, after, err := Change{Sensitive: []string{"x"}}.Masked(nil)
		require.NoError(t, err)
		assert.Equal(t, "null null", string(before)+" "+string(after))
	})
	t.Run("refuses what it cannot take apart", func(t *testing.T) {
		_, _, err := Change{Before: word("s3cr3t"), Sensitive: []string{"x"}}.Masked(nil)
		assert.EqualError(t, err, "cannot read the attributes of a state.word: its JSON is not an object")
	})
}

func TestDifferences(t *testing.T) {
	ds, err := Change{Before: account{Name: "a", Tokens: []string{"x"}}, After: account{Name: "b", Labels: map[string]string{"k": "<"}}}.Differences(nil)
	require.NoError(t, err)
	assert.Equal(t, []Difference{
		{Name: "name", Before: json.RawMessage(`"a"`), After: json.RawMessage(`"b"`)},
		{Name: "tokens", Before: json.RawMessage(`["x"]`)},
		{Name: "labels", After: json.RawMessage(`{"k":"<"}`)},
	}, ds)
}

func TestRelative(t *testing.T) {
	for _, c := range []struct{ dir, file, want string }{
		{"/srv/config", "/srv/config/a/main.hcl", "a/main.hcl"},
		{"/srv/config/", "/srv/config/main.hcl", "main.hcl"},
		{"/srv/config", "/srv/configs/main.hcl", "main.hcl"},
		{"examples/x", "examples/x/main.hcl", "main.hcl"},
		{".", "main.hcl", "main.hcl"},
		{"", "/etc/x/main.hcl", "main.hcl"},
		{"/d", "../secret/main.hcl", "main.hcl"},
		{"/d", "", ""},
	} {
		assert.Equal(t, c.want, Range{File: c.file}.Relative(c.dir), "%s from %s", c.file, c.dir)
	}
}

func BenchmarkDigest(b *testing.B) {
	p := &Plan{Nodes: []*NodePlan{{Addr: NodeAddr{Type: StageNode, Name: "core"}}}}
	for i := range 20_000 {
		name := fmt.Sprintf("share/doc/%05d", i)
		o := account{Name: name, Password: "sha256:" + strings.Repeat("a", 64), Tokens: []string{"/usr", "/usr/share"}}
		c := Change{Addr: Addr{Node: p.Nodes[0].Addr, Kind: "account", Key: name}, Before: o, After: o, Made: o, Cause: CauseDrift, Source: Range{File: "/d/main.hcl", Line: i}}
		if i%10 == 0 {
			c.Sensitive = []string{"password"}
		}
		p.Nodes[0].Changes = append(p.Nodes[0].Changes, c)
	}
	p.Dir = "/d"
	for b.Loop() {
		p.digest = "" // computed anew
		if _, err := p.Digest([]byte("key")); err != nil {
			b.Fatal(err)
		}
	}
}
