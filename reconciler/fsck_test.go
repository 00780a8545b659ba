package reconciler

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/store"
)

// fuzzed is the state of a store after three runs: what its files hold.
func fuzzed() map[string]string {
	const (
		head   = `{"version":1,"opdbus":"1","host":"h","config":"c","run":`
		thing  = `{"label":"x","name":"x","value":"v"}`
		entry  = `{"object":"thing[\"x\"]","made":` + thing + `}`
		ended  = `,"ended":"2026-01-02T03:04:06Z"}}` + "\n"
		begunA = `{"begun":{"step":1,"node":"stage.a","existed":false,"pre":"pre-a","changes":[{"object":"thing[\"x\"]","after":` + thing + `}]}}` + "\n"
		moved  = `{"begun":{"step":1,"node":"stage.b","existed":false,"pre":"pre-b","needs":["stage.a"],"changes":[{"object":"thing[\"x\"]","after":` + thing + `,"made":` + entry + `,"origin":{"addr":"stage.a.thing[\"x\"]","node_run":1}}]}}` + "\n"
		back   = `{"begun":{"step":1,"node":"stage.b","existed":true,"delete":true,"pre":"pre-rollback-b","back":{"steps":[{"run":2,"step":1}],"owned":[{"node":"stage.a","owned":{"run":1,"objects":[` + entry + `]}},{"node":"stage.b"}]},"was":[{"node":"stage.a"},{"node":"stage.b","owned":{"run":2,"objects":[` + entry + `]}}],"changes":[{"object":"thing[\"x\"]","before":` + thing + `}]}}` + "\n"
		done   = `{"done":{"step":1,"post":"post"}}` + "\n"
		run    = `"opdbus":"1","host":"h","config":"c","digest":"d","on_failure":"rollback","started":"2026-01-02T03:04:05Z","steps":1,"before":`
		first  = `{"run":{"run":1,` + run + `{"version":1,"run":0}}}` + "\n"
		second = `{"run":{"run":2,` + run + head + `1}}}` + "\n"
		third  = `{"run":{"run":3,"rollback":"to before run 2",` + run + head + `2}}}` + "\n"
	)
	return map[string]string{
		"journal/1.jsonl": first + begunA + done + `{"end":{"outcome":"applied"` + ended,
		"journal/2.jsonl": second + moved + `{"confirm":{"by":"2026-01-02T03:04:05Z","boot":"b"}}` + "\n" + done + `{"end":{"outcome":"applied"` + ended,
		"journal/3.jsonl": third + back + done + `{"end":{"outcome":"applied"` + ended,
		"ledger.json":     head + `3,"nodes":{` + "\n" + `"stage.a":{"run":1,"objects":[` + "\n" + entry + "]}}}\n",
		"held.json":       `{"version":1,"held":[{"run":1,"digest":"d","config":"c","nodes":["stage.a"],"since":"2026-01-02T03:04:05Z"}]}`,
		"pruning.json":    `{"version":1,"snapshots":["pre-a"]}`,
		"lock":            "",
		"key":             "0123456789abcdef0123456789abcdef",
		"index/a.tree":    "cache",
	}
}

// build makes a store of files in a directory that need not be on btrfs.
func build(t testing.TB, files map[string]string) (*Reconciler, *store.Store) {
	t.Helper()
	host := state.Host{Root: t.TempDir(), Subvolumes: none{}}
	r := &Reconciler{Host: host, Store: store.LayoutOf(host), MachineID: "h", Log: hclog.NewNullLogger(), Kinds: state.Kinds{state.KindOf[thing]("stage", "thing", world{})}}
	for _, dir := range []string{r.Store.Snapshots(), r.Store.Images(), r.Store.JournalDir(), filepath.Join(r.Store.State(), "index")} {
		require.NoError(t, os.MkdirAll(dir, 0o700))
	}
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(r.Store.State(), name), []byte(content), 0o600))
	}
	return r, &store.Store{Layout: r.Store}
}

// none are no subvolumes.
type none struct{}

func (none) Create(string) error                 { return errors.ErrUnsupported }
func (none) Snapshot(string, string, bool) error { return errors.ErrUnsupported }
func (none) Copy(string, string) error           { return errors.ErrUnsupported }
func (none) Delete(string) error                 { return errors.ErrUnsupported }
func (none) Exchange(string, string) error       { return errors.ErrUnsupported }

func TestFsck(t *testing.T) {
	t.Run("a whole store is whole", func(t *testing.T) {
		r, s := build(t, fuzzed())
		found, err := r.lookThrough(t.Context(), s)
		require.NoError(t, err)
		assert.Empty(t, found.Findings)
		assert.Equal(t, 3, found.Checked.Runs)
		assert.Equal(t, 1, found.Checked.Nodes)
	})
	t.Run("the ledger is that of the journals, and its values that were there before", func(t *testing.T) {
		files := fuzzed()
		want := files["ledger.json"]
		files["ledger.json"] = "{"
		r, s := build(t, files)
		_, err := r.repair(t.Context(), s)
		require.NoError(t, err)
		got, err := os.ReadFile(r.Store.Ledger())
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
	})
	t.Run("cut off between its two steps, making the ledger anew is gone on with", func(t *testing.T) {
		files := fuzzed()
		files["ledger.json"] = "{"
		r, s := build(t, files)
		require.NoError(t, aside(r.Store.Ledger()))
		_, err := r.repair(t.Context(), s)
		require.NoError(t, err)
		assert.FileExists(t, r.Store.Ledger()+".damaged-1")
		assert.NoFileExists(t, r.Store.Ledger()+".damaged-2")
	})
	t.Run("a damaged list of what is being deleted is set aside, and one of held plans is a person's", func(t *testing.T) {
		files := fuzzed()
		files["pruning.json"], files["held.json"] = "{", "{"
		r, s := build(t, files)
		found, err := r.repair(t.Context(), s)
		require.NoError(t, err)
		assert.NoFileExists(t, r.Store.Pruning())
		assert.FileExists(t, r.Store.Held())
		assert.Equal(t, 1, found.Count(Problem))
	})
}

// FuzzFsck puts something else into one file of a store, or takes it away. Whatever that is, repairing comes to an end, after which nothing
// is left that it would mend, and each problem says what is lost or what a person can do.
func FuzzFsck(f *testing.F) {
	names := slices.Sorted(maps.Keys(fuzzed()))
	for i, name := range names {
		whole := fuzzed()[name]
		for _, content := range []string{"", "{", "null\n", "{}\n", whole[:len(whole)/2], whole + whole, whole + `{"be`} {
			f.Add(uint8(i), false, []byte(content))
		}
		f.Add(uint8(i), true, []byte{})
		f.Add(uint8(i), false, []byte(strings.ReplaceAll(whole, `"run":3`, `"run":99999999999`)))
	}
	f.Fuzz(func(t *testing.T, which uint8, gone bool, content []byte) {
		files := fuzzed()
		name := names[int(which)%len(names)]
		files[name] = string(content)
		if gone {
			delete(files, name)
		}
		r, s := build(t, files)
		_, err := r.repair(t.Context(), s)
		require.NoError(t, err)
		again, err := r.lookThrough(t.Context(), s)
		require.NoError(t, err)
		for _, x := range again.Findings {
			assert.Nil(t, x.mend, "%s: %s", x.Place, x.What)
			if x.Severity == Problem {
				assert.NotEmpty(t, x.Lost+x.Remedy, "%s: %s", x.Place, x.What)
				assert.NotEmpty(t, x.Remedy, "%s: %s", x.Place, x.What)
			}
		}
		for _, look := range []func() error{
			func() error { _, _, err := r.History(); return err },
			func() error { _, err := r.Doctor(t.Context(), DoctorOptions{}); return err },
		} {
			if err := look(); err != nil && !errors.Is(err, fs.ErrNotExist) {
				require.NotEmpty(t, err.Error())
			}
		}
	})
}
