package render

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
)

// canary stands for every secret of the tests; it must not come out anywhere.
const canary = "c4n4ry-s3cr3t"

func TestText(t *testing.T) {
	key := []byte("key")
	t.Run("reads as the contract shows it", func(t *testing.T) {
		digest, err := contract().Digest(key)
		require.NoError(t, err)
		assert.Equal(t, `opdbus will change 2 nodes (5 unchanged) on host pve1, from commit 1a2b3c4.

  stage.stage-1-core-dbus                       snapshots pre, post · taken back by snapshot and inverse
    + file["bin/op-dbus"]         /usr/local/bin/op-dbus -> /var/lib/op-dbus/staging/stage-1-core-dbus/bin/op-dbus
    ~ registration["net"]         version "0.9.0" -> "1.0.0"
  plugin.systemd                                restarts nginx.service
    ~ unit["nginx.service"]       active false -> true          (drift)

Plan: 1 to add, 2 to change, 0 to destroy; 1 restart; 4 snapshots.
Digest: `+digest+"\n", asText(t, contract(), Options{Key: key}))
	})
	for name, o := range map[string]Options{
		"everything": {}, "everything.verbose": {Verbose: true}, "everything.ascii": {ASCII: true, Width: 80}, "everything.color": {Color: true},
	} {
		t.Run("is what is in testdata/"+name, func(t *testing.T) {
			o.Key = key
			golden(t, name+".txt", asText(t, everything(), o))
		})
	}
	t.Run("lists 20 of each sort and counts the others", func(t *testing.T) { golden(t, "many.txt", asText(t, many(10_000), Options{Key: key})) })
	t.Run("hides nothing when the rest is one line", func(t *testing.T) {
		assert.NotContains(t, asText(t, many(shown+1), Options{}), "more")
		assert.Contains(t, asText(t, many(shown+2), Options{}), "… and 2 more payload created (--verbose lists all)\n")
		assert.Equal(t, 2*(shown+2)+1, strings.Count(asText(t, many(shown+2), Options{Verbose: true}), "[\""))
	})
	t.Run("says which runs are taken back", func(t *testing.T) {
		digest, err := back().Digest(nil)
		require.NoError(t, err)
		assert.Equal(t, `opdbus will take back 2 nodes (1 unchanged) on host pve1, to before run 3.

  stage.web                                     removed with its subvolume · takes back runs 3, 4 · snapshot pre-rollback · taken back by snapshot and inverse
    - file["bin/web"]             /usr/local/bin/web -> /var/lib/op-dbus/staging/stage-1-core-dbus/bin/web
  stage.stage-1-core-dbus                       takes back run 3 · snapshot pre-rollback · taken back by snapshot

Plan: 0 to add, 0 to change, 1 to destroy; 2 snapshots.
Digest: `+digest+"\n", asText(t, back(), Options{}))
		assert.Equal(t, "No changes. There is nothing to be taken back.\n", asText(t, &state.Plan{Rollback: "to before run 3"}, Options{}))
	})
	t.Run("says that there is nothing to do", func(t *testing.T) {
		assert.Equal(t, "No changes. The host matches the configuration.\n", asText(t, &state.Plan{Unchanged: 7}, Options{}))
	})
	t.Run("names what was left out of an empty plan", func(t *testing.T) {
		all := everything()
		p := &state.Plan{Skipped: all.Skipped[:1], Outputs: all.Outputs[1:], Drifted: all.Drifted[1:]}
		assert.Equal(t, `No changes.

  stage.stage-3-openflow                        skipped: needs feature openflow

Drift that is left as it is:
    - plugin.systemd.unit["left.service"]  active true, token (sensitive)  (drift)

Outputs:
  token = (sensitive)
  ports = {"a":10000000000000000001,"b":[1,2]}
`, asText(t, p, Options{}))
	})
	t.Run("counts one of a thing as one", func(t *testing.T) {
		p := contract()
		p.Nodes, p.Hostname, p.Commit = p.Nodes[:1], "", ""
		p.Nodes[0].Delete, p.Nodes[0].Changes = true, p.Nodes[0].Changes[:1]
		lines := strings.Split(asText(t, p, Options{}), "\n")
		assert.Equal(t, "opdbus will change 1 node (5 unchanged) on host 4d5be0b0c6d94c9c9d2e1f2a3b4c5d6e.", lines[0])
		assert.Equal(t, "  stage.stage-1-core-dbus                       removed with its subvolume · snapshots pre, post · taken back by snapshot and inverse", lines[2])
		assert.Equal(t, "Plan: 1 to add, 0 to change, 0 to destroy; 2 snapshots.", lines[5])
	})
	t.Run("cuts a long text diff, and not when all is asked for", func(t *testing.T) {
		p := contract()
		p.Nodes[1].Changes[0].Before = unit{Name: "nginx.service", Content: strings.Repeat("old\n", 100)}
		p.Nodes[1].Changes[0].After = unit{Name: "nginx.service", Content: strings.Repeat("new\n", 100)}
		assert.Contains(t, asText(t, p, Options{}), "\n        … and 161 lines more (--verbose shows all)\n")
		assert.Equal(t, 100, strings.Count(asText(t, p, Options{Verbose: true}), "\n        +new"))
	})
	t.Run("lets no foreign text act on the terminal", func(t *testing.T) {
		for _, o := range []Options{{}, {Verbose: true}, {ASCII: true}} {
			for _, r := range asText(t, everything(), o) {
				ok := strconv.IsPrint(r) || r == '\n' || r == '\t'
				require.True(t, ok && (!o.ASCII || r <= unicode.MaxASCII), "%+v lets %U through", o, r)
			}
		}
	})
	t.Run("means the same without colours", func(t *testing.T) {
		colored := asText(t, everything(), Options{Color: true})
		for _, color := range []string{bold, red, green, yellow, cyan, "0"} {
			colored = strings.ReplaceAll(colored, "\x1b["+color+"m", "")
		}
		assert.Equal(t, asText(t, everything(), Options{}), colored)
	})
}

func TestSecrets(t *testing.T) {
	t.Run("come out nowhere", func(t *testing.T) {
		for _, key := range [][]byte{nil, []byte("key")} {
			p := everything()
			var b bytes.Buffer
			for _, o := range []Options{{}, {Verbose: true, Color: true}, {ASCII: true, Width: 40}} {
				o.Key, o.Kinds = key, kinds()
				require.NoError(t, Text(&b, p, o))
			}
			require.NoError(t, JSON(&b, p, Options{Key: key, Kinds: kinds()}))
			canonical, err := p.Canonical(key)
			require.NoError(t, err)
			b.Write(canonical)
			assert.NotContains(t, b.String(), canary)
			assert.Contains(t, b.String(), `"sensitive":true`)
			assert.Equal(t, key != nil, strings.Contains(b.String(), "hmac-sha256:"))
		}
	})
}
