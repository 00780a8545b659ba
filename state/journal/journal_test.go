package journal

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/ledger"
)

var core = state.NodeAddr{Type: state.StageNode, Name: "core"}

func write(t *testing.T, dir string) Begun {
	t.Helper()
	j, err := Create(dir, Run{Run: 3, Command: "opdbus apply", Steps: 1, Started: time.Unix(0, 0).UTC()})
	require.NoError(t, err)
	b := Begun{Step: 1, Node: core, Pre: "pre-core", Changes: []Change{{Object: `file["a"]`, After: []byte(`{"path":"a"}`)}}}
	require.NoError(t, j.Append(Record{Begun: &b}))
	require.NoError(t, j.Append(Record{Done: &Done{Step: 1, Post: "post-core"}}))
	require.NoError(t, j.Append(Record{End: &End{Outcome: Applied}}))
	require.NoError(t, j.Close())
	return b
}

func TestJournal(t *testing.T) {
	t.Run("tells what was written", func(t *testing.T) {
		dir := t.TempDir()
		b := write(t, dir)
		s, err := Read(dir, 3)
		require.NoError(t, err)
		assert.Equal(t, []Begun{b}, s.Steps)
		assert.Equal(t, map[int]Done{1: {Step: 1, Post: "post-core"}}, s.Done)
		assert.Equal(t, Applied, s.End.Outcome)
		runs, err := Runs(dir)
		require.NoError(t, err)
		assert.Equal(t, []int{3}, runs)
	})
	t.Run("cut at any byte it tells a beginning of that, or nothing", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir)
		whole, err := os.ReadFile(Path(dir, 3))
		require.NoError(t, err)
		for n := range whole {
			s, err := Decode(whole[:n])
			require.NoError(t, err, "cut at %d", n)
			if s == nil {
				continue
			}
			assert.Equal(t, 3, s.Run.Run)
			assert.Nil(t, s.End, "cut at %d", n)
		}
	})
	t.Run("what a step's record says is what encoding/json would write of it", func(t *testing.T) {
		b := Begun{Step: 2, Node: core, DependsOn: []state.NodeAddr{core}, NodeRun: 7, Existed: true, Pre: "pre", Changes: []Change{
			{Object: `file["a"]`, Before: []byte(`{"x":1}`), After: []byte(`{"x":2}`)},
			{Object: `file["b\\"]`, Made: &ledger.Entry{Object: `file["o"]`, Made: []byte(`{}`), Sensitive: []string{"s"}}, At: 3,
				Origin: &Origin{Addr: state.Addr{Node: core, Kind: "file", Key: "o"}, NodeRun: 1}, Forget: true},
		}}
		line, err := Record{Begun: &b}.encode()
		require.NoError(t, err)
		plain, err := json.Marshal(Record{Begun: &b})
		require.NoError(t, err)
		assert.JSONEq(t, string(plain), string(line))
		assert.NotContains(t, string(line), "null")
	})
	t.Run("its end is seen without reading all of it", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir)
		ended, err := Ended(dir, 3)
		require.NoError(t, err)
		assert.True(t, ended)
		whole, err := os.ReadFile(Path(dir, 3))
		require.NoError(t, err)
		for _, n := range []int{0, 10, len(whole) / 2, len(whole) - 1} {
			require.NoError(t, os.WriteFile(Path(dir, 3), whole[:n], 0o600))
			ended, err := Ended(dir, 3)
			require.NoError(t, err)
			assert.False(t, ended, "cut at %d", n)
		}
	})
	t.Run("is continued behind its last whole line", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir)
		whole, err := os.ReadFile(Path(dir, 3))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(Path(dir, 3), whole[:len(whole)-5], 0o600))
		j, err := Continue(dir, 3)
		require.NoError(t, err)
		require.NoError(t, j.Append(Record{Undone: &Undone{Step: 1}}))
		require.NoError(t, j.Close())
		s, err := Read(dir, 3)
		require.NoError(t, err)
		assert.True(t, s.Undone[1])
		assert.Nil(t, s.End)
	})
	t.Run("a number is used once", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir)
		_, err := Create(dir, Run{Run: 3})
		assert.ErrorIs(t, err, os.ErrExist)
	})
	t.Run("a damaged line is named", func(t *testing.T) {
		_, err := Decode([]byte(`{"run":{"run":1}}` + "\n" + `{"done":{"step":4}}` + "\n"))
		assert.ErrorContains(t, err, "line 2 is damaged")
	})
	t.Run("one that is of another run is damaged", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir)
		require.NoError(t, os.Rename(Path(dir, 3), Path(dir, 4)))
		_, err := Read(dir, 4)
		var damaged *DamagedError
		require.ErrorAs(t, err, &damaged)
		assert.EqualError(t, err, "cannot read the journal of run 4: it is that of run 3")
	})
	t.Run("a record that no run can have written is damaged", func(t *testing.T) {
		const run = `{"run":{"run":1,"rollback":"x"}}` + "\n"
		for record, why := range map[string]string{
			`{"begun":{"step":0,"node":"stage.a"}}`:                                                                            "no number or no node",
			`{"begun":{"step":1}}`:                                                                                             "no number or no node",
			`{"begun":{"step":1,"node":"stage.a"}}`:                                                                            "does not say where it goes back to",
			`{"begun":{"step":1,"node":"stage.a","back":{},"changes":[{"object":"file"}]}}`:                                    "step 1: ",
			`{"begun":{"step":1,"node":"stage.a","back":{},"changes":[{"object":"file[\"x\"]","at":-1}]}}`:                     "what the ledger had of it is not whole",
			`{"begun":{"step":1,"node":"stage.a","back":{},"changes":[{"object":"file[\"x\"]","made":{}}]}}`:                   "what the ledger had of it is not whole",
			`{"begun":{"step":1,"node":"stage.a","back":{},"changes":[{"object":"file[\"x\"]","origin":{"addr":"stage.b"}}]}}`: "what the ledger had of it is not whole",
		} {
			_, err := Decode([]byte(run + record + "\n"))
			assert.ErrorContains(t, err, why, record)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"run":{"run":1}}` + "\n" + `{"begun":{"step":1,"node":"stage.a","pre":"p","changes":[]}}` + "\n" + `{"end":{"outcome":"applied"}}`))
	f.Add([]byte("{}\n"))
	f.Add([]byte("null\n"))
	f.Add([]byte(`{"run":{"run":2,"rollback":"to before run 1","plan":"p","before":{"version":1,"run":1}}}` + "\n" +
		`{"begun":{"step":1,"node":"stage.a","existed":true,"delete":true,"pre":"p","needs":["stage.b"],"back":{"steps":[{"run":1,"step":1}],"owned":[{"node":"stage.a"}]},` +
		`"was":[{"node":"stage.a","owned":{"run":1,"objects":[{"object":"file[\"x\"]","made":{}}]}}],"changes":[{"object":"file[\"x\"]","made":{"object":"file[\"x\"]","made":{}},"origin":{"addr":"stage.b.file[\"x\"]"}}]}}` + "\n" +
		`{"confirm":{"by":"2026-01-02T03:04:05Z","boot":"b"}}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode(data)
		if err == nil && s != nil {
			assert.NotZero(t, s.Run.Run)
		}
	})
}
