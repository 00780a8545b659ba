package journal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
)

const (
	headLine   = `{"run":{"run":3,"steps":2}}` + "\n"
	begunA     = `{"begun":{"step":1,"node":"stage.a","existed":false,"pre":"pre-a","changes":[{"object":"file[\"x\"]"}]}}` + "\n"
	begunB     = `{"begun":{"step":2,"node":"stage.b","existed":false,"pre":"pre-b","changes":[]}}` + "\n"
	doneA      = `{"done":{"step":1,"post":"post-a"}}` + "\n"
	doneB      = `{"done":{"step":2,"post":"post-b"}}` + "\n"
	endLine    = `{"end":{"outcome":"applied","ended":"2026-01-02T03:04:06Z"}}` + "\n"
	wholeLines = headLine + begunA + doneA + begunB + doneB + endLine
)

func TestSalvage(t *testing.T) {
	a, b := state.NodeAddr{Type: state.StageNode, Name: "a"}, state.NodeAddr{Type: state.StageNode, Name: "b"}
	for _, c := range []struct {
		name, old, new string
		steps, damaged int
		nodes          []state.NodeAddr
		unknown        bool
	}{
		{"a whole journal has lost nothing", "", "", 2, 0, nil, false},
		{"a step's end is no step's beginning", doneA, strings.Replace(doneA, `"step"`, `"ste`, 1), 2, 1, nil, false},
		{"a step whose beginning can be read is that node's", `"existed":false,"pre":"pre-b"`, `"existed":fal`, 1, 2, []state.NodeAddr{b}, false},
		{"a step whose beginning cannot be read is anybody's", `{"begun":{"step":2`, `{"be`, 1, 2, nil, true},
		{"two lines that became one are anybody's", doneA + begunB, strings.TrimSuffix(doneA, "\n") + begunB, 1, 2, nil, true},
		{"without the first line the others still tell", headLine, "x\n", 2, 1, nil, true},
		{"a journal that was cut off may have had more steps", begunB + doneB + endLine, "", 1, 0, nil, true},
		{"one that was cut off when all steps had begun has had no more", doneB + endLine, doneB[:5], 2, 1, nil, true},
		{"what stands behind the end was to be nothing", endLine, endLine + `{"beg`, 2, 0, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewSalvage([]byte(strings.Replace(wholeLines, c.old, c.new, 1)))
			assert.Len(t, s.Steps, c.steps)
			assert.Len(t, s.Damaged, c.damaged)
			assert.Equal(t, c.nodes, s.Nodes)
			assert.Equal(t, c.unknown, s.Unknown)
		})
	}
	t.Run("every byte that is lost of a step's record is found, or is of no step's beginning", func(t *testing.T) {
		for at := range wholeLines {
			s := NewSalvage([]byte(wholeLines[:at] + "\x00" + wholeLines[at+1:]))
			known := map[state.NodeAddr]bool{}
			for _, b := range s.Steps {
				known[b.Node] = true
			}
			for _, n := range s.Nodes {
				known[n] = true
			}
			assert.True(t, s.Unknown || known[a] && known[b], "byte %d", at)
		}
	})
}

func TestSetAside(t *testing.T) {
	dir := t.TempDir()
	write(t, dir)
	path, err := SetAside(dir, 3)
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(dir, "3.jsonl.damaged"), path)
	runs, err := Runs(dir)
	require.NoError(t, err)
	assert.Empty(t, runs)

	again, err := SetAside(dir, 3)
	require.NoError(t, err)
	assert.Equal(t, path+"-2", again, "what is there is not overwritten")
	info, err := os.Stat(again)
	require.NoError(t, err)
	assert.Zero(t, info.Size(), "one that is missing leaves an empty one")

	aside, paths, err := Aside(dir)
	require.NoError(t, err)
	assert.Equal(t, []int{3}, aside)
	assert.Equal(t, map[int][]string{3: {path, again}}, paths)
}

func TestMend(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(Path(dir, 3), []byte(wholeLines+`{"beg`), 0o600))
	require.NoError(t, Mend(dir, 3))
	data, err := os.ReadFile(Path(dir, 3))
	require.NoError(t, err)
	assert.Equal(t, wholeLines, string(data))
}

func FuzzSalvage(f *testing.F) {
	f.Add([]byte(wholeLines))
	f.Add([]byte(strings.Replace(wholeLines, `"pre-a"`, `"pre`, 1)))
	f.Add([]byte("{}\nnull\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := NewSalvage(data)
		whole, err := Decode(data)
		if err == nil && whole != nil && !whole.Torn {
			assert.Empty(t, s.Damaged, "a whole journal is not damaged")
			assert.Equal(t, *whole, s.Story)
		}
		if err != nil {
			assert.NotEmpty(t, s.Damaged, "a damaged one is")
		}
	})
}
