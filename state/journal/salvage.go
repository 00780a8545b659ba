package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/durable"
)

// A Salvage is what the whole lines of a damaged journal tell.
type Salvage struct {
	// Story is what they tell together. Its run has no number when the first line is not whole.
	Story
	Damaged []int // the lines that tell nothing, counted from 1
	// Nodes are those whose steps the damaged lines began. Unknown says that these may be of any node.
	Nodes   []state.NodeAddr
	Unknown bool
}

// ReadSalvage reads what can be read of a journal's file.
func ReadSalvage(path string) (*Salvage, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read what is left of a journal: %w", err)
	}
	return NewSalvage(data), nil
}

// NewSalvage reads what can be read of a journal from its file's bytes.
func NewSalvage(data []byte) *Salvage {
	d := newDecoder()
	s := &Salvage{}
	for n := 1; len(data) > 0; n++ {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		data = rest
		if whole && d.line(n, line) == nil {
			continue
		}
		if d.Torn = !whole; d.Torn && d.End != nil {
			break // nothing was to come any more
		}
		s.Damaged = append(s.Damaged, n)
		switch node, may := begins(line); {
		case may && node == state.NodeAddr{}:
			s.Unknown = true
		case may:
			s.Nodes = append(s.Nodes, node)
		}
	}
	s.Story = *d.Story
	if s.End == nil && (s.Run.Run == 0 || len(s.Steps)+len(s.Nodes) < s.Run.Steps) {
		s.Unknown = true // lines may be lost behind the last one
	}
	return s
}

// Touched says whether the run may have changed a node by a step that nothing is known of any more.
func (s *Salvage) Touched(node state.NodeAddr) bool {
	known := slices.ContainsFunc(s.Steps, func(b Begun) bool { return b.Node == node })
	return slices.Contains(s.Nodes, node) || s.Unknown && !known
}

var (
	begunLine = regexp.MustCompile(`^\{"begun":\{"step":\d+,"node":"((?:[^"\\]|\\.)*)",`)
	shortLine = regexp.MustCompile(`^\{"(?:done|undone|end|confirm)":\{`)
)

// begins says whether a damaged line may be, or hold, the record of a step that begins, and of which node as far as that can be read.
func begins(line []byte) (node state.NodeAddr, may bool) {
	begun, changes := bytes.Count(line, []byte(`"begun"`)), bytes.Count(line, []byte(`"changes"`))
	if shortLine.Match(line) && begun == 0 && changes == 0 {
		return node, false
	}
	m := begunLine.FindSubmatch(line)
	if m == nil || begun > 1 || changes > 1 { // two lines may have become one
		return node, true
	}
	name, err := strconv.Unquote(`"` + string(m[1]) + `"`)
	if err == nil {
		err = node.UnmarshalText([]byte(name))
	}
	if err != nil {
		node = state.NodeAddr{}
	}
	return node, true
}

const asideSuffix = ".damaged"

// SetAside takes the journal of a run out of the account, and says where its file is from then on. The file is kept; one that is missing
// leaves an empty one. It is done in one step, so that a cut leaves it done or to be done again.
func SetAside(dir string, run int) (path string, err error) {
	path = Path(dir, run) + asideSuffix
	for n := 2; ; n++ {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return "", fmt.Errorf("cannot set the journal of run %d aside: %w", run, err)
		}
		path = Path(dir, run) + asideSuffix + "-" + strconv.Itoa(n)
	}
	err = os.Rename(Path(dir, run), path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, durable.WriteFile(path, nil, 0o600)
	}
	if err == nil {
		err = durable.SyncDir(dir)
	}
	if err != nil {
		return "", fmt.Errorf("cannot set the journal of run %d aside: %w", run, err)
	}
	return path, nil
}

// Aside lists the runs whose journals were set aside, ascending, and their files.
func Aside(dir string) (runs []int, paths map[int][]string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot list the journals: %w", err)
	}
	paths = map[int][]string{}
	for _, e := range entries {
		number, _, aside := strings.Cut(e.Name(), ".jsonl"+asideSuffix)
		n, err := strconv.Atoi(number)
		if !aside || err != nil || n < 1 {
			continue
		}
		if len(paths[n]) == 0 {
			runs = append(runs, n)
		}
		paths[n] = append(paths[n], Path(dir, n)+strings.TrimPrefix(e.Name(), number+".jsonl"))
	}
	slices.Sort(runs)
	return runs, paths, nil
}

// Mend cuts the torn last line of a run that has ended away. What it would have said has not been acted upon.
func Mend(dir string, run int) error {
	j, err := Continue(dir, run)
	if err != nil {
		return err
	}
	if err := j.file.Sync(); err != nil {
		err = fmt.Errorf("cannot bring the journal to disk: %w", err)
		return errors.Join(err, j.Close())
	}
	return j.Close()
}
