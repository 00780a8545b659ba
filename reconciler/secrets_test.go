package reconciler

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
	"github.com/opdbus/opdbus/state/snapshot"
	"github.com/opdbus/opdbus/state/store"
)

// TestSecrets loses journals, and looks at what is shown of stage.a and stage.b in records of runs: 1 made both, 2 changed a, in which
// x was secret, 3 and 4 changed b.
func TestSecrets(t *testing.T) {
	begun := func(step int, node string, nodeRun int, sensitive string) string {
		return fmt.Sprintf(`{"begun":{"step":%d,"node":"stage.%s","node_run":%d,"existed":true,"pre":"p","changes":[{"object":"thing[\"x\"]"%s}]}}`+"\n", step, node, nodeRun, sensitive)
	}
	const end = `{"end":{"outcome":"applied","ended":"2026-01-02T03:04:06Z"}}` + "\n"
	whole := map[int]string{
		1: `{"run":{"run":1,"steps":2}}` + "\n" + begun(1, "a", 0, "") + begun(2, "b", 0, "") + end,
		2: `{"run":{"run":2,"steps":1}}` + "\n" + begun(1, "a", 1, `,"sensitive":["value"]`) + end,
		3: `{"run":{"run":3,"steps":1}}` + "\n" + begun(1, "b", 1, "") + end,
		4: `{"run":{"run":4,"steps":1}}` + "\n" + begun(1, "b", 3, "") + end,
	}
	object := state.Addr{Kind: "thing", Key: "x"}
	for _, c := range []struct {
		name   string
		damage func(map[int]string)
		shown  string // what of which node in a record of run 1: all but what is named
	}{
		{"what is known to have been secret is not shown", func(map[int]string) {}, "a: value, b: "},
		{"of a step whose record cannot be read, the node is not shown", func(j map[int]string) {
			j[2] = strings.Replace(j[2], `"changes":[`, `"changes":`, 1)
		}, "a: label name value, b: "},
		{"nor any node that a lost run may have changed", func(j map[int]string) { delete(j, 2) }, "a: label name value, b: "},
		{"which others tell of one that it did not", func(j map[int]string) { delete(j, 4) }, "a: value, b: label name value"},
		{"a record that is lost of what is no step's hides nothing", func(j map[int]string) {
			j[3] = strings.Replace(j[3], end, `{"end":{"out`+"\n", 1)
		}, "a: value, b: "},
		{"a node that a later run rolled back was changed", func(j map[int]string) {
			j[4] = strings.Replace(j[4], `"existed"`, `"back":{"steps":[{"run":2,"step":1}]},"existed"`, 1)
			j[4] = strings.Replace(strings.Replace(j[4], `stage.b`, `stage.a`, 1), `"node_run":3`, `"node_run":1`, 1)
			delete(j, 2)
		}, "a: label name value, b: "},
		{"without any journal nothing is shown", func(j map[int]string) { clear(j) }, "a: label name value, b: label name value"},
	} {
		t.Run(c.name, func(t *testing.T) {
			host := state.Host{Root: t.TempDir()}
			r := &Reconciler{Host: host, Store: store.LayoutOf(host), Log: hclog.NewNullLogger(), Kinds: state.Kinds{state.KindOf[thing]("stage", "thing", world{})}}
			require.NoError(t, os.MkdirAll(r.Store.JournalDir(), 0o755))
			journals := map[int]string{}
			for run, text := range whole {
				journals[run] = text
			}
			c.damage(journals)
			for run, text := range journals {
				require.NoError(t, os.WriteFile(journal.Path(r.Store.JournalDir(), run), []byte(text), 0o600))
			}
			l := ledger.New()
			for node, run := range map[string]int{"a": 2, "b": 4} {
				l.Set(stage(node), &ledger.Node{Run: run, Objects: []ledger.Entry{{Object: object.Local(), Made: []byte(`{}`)}}})
			}
			l.Run = 4
			var got []string
			for _, node := range []string{"a", "b"} {
				a := object
				a.Node = stage(node)
				shown, err := r.Recorded(snapshot.Record{Head: snapshot.Head{Run: 1, Node: a.Node}, Objects: []snapshot.Object{{Addr: a, Live: []byte(`{"value":"v"}`)}}}, l)
				require.NoError(t, err)
				got = append(got, node+": "+strings.Join(shown[0].Sensitive, " "))
			}
			assert.Equal(t, c.shown, strings.ReplaceAll(strings.Join(got, ", "), "value label name", "label name value"))
		})
	}
}
