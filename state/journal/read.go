package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// A Story is what a journal tells, read back.
type Story struct {
	Run    Run
	Steps  []Begun // in the order in which they began
	Done   map[int]Done
	Undone map[int]bool
	End    *End // nil: the run was cut off
	// Confirm is until when the run has to be confirmed; nil when it has not.
	Confirm *Confirm
	// Torn says that the last line was cut off while it was written; what it would have said has not been acted upon.
	Torn bool
}

// Read reads the journal of a run. A file that holds no whole record is a run that had not begun: nil.
func Read(dir string, run int) (*Story, error) {
	data, err := os.ReadFile(Path(dir, run))
	if err != nil {
		return nil, fmt.Errorf("cannot read the journal of run %d: %w", run, err)
	}
	s, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("cannot read the journal of run %d: %w", run, err)
	}
	return s, nil
}

// Last is the head of the newest journal in dir that has one; nil when none has.
func Last(dir string) (*Run, error) {
	runs, err := Runs(dir)
	if err != nil {
		return nil, err
	}
	for _, n := range slices.Backward(runs) {
		f, err := os.Open(Path(dir, n))
		if err != nil {
			return nil, fmt.Errorf("cannot read the journal of run %d: %w", n, err)
		}
		line, err := bufio.NewReader(f).ReadBytes('\n')
		if err = errors.Join(err, f.Close()); err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("cannot read the journal of run %d: %w", n, err)
		}
		var r Record
		if json.Unmarshal(line, &r) == nil && r.Run != nil {
			return r.Run, nil
		}
	}
	return nil, nil
}

// Ended says whether the run with a journal in dir has come to its end, by the journal's last line alone: the whole of it
// may be long.
func Ended(dir string, run int) (bool, error) {
	f, err := os.Open(Path(dir, run))
	if err != nil {
		return false, fmt.Errorf("cannot read the journal of run %d: %w", run, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, fmt.Errorf("cannot read the journal of run %d: %w", run, err)
	}
	tail := make([]byte, min(info.Size(), tailSize))
	if _, err := f.ReadAt(tail, info.Size()-int64(len(tail))); err != nil {
		return false, fmt.Errorf("cannot read the journal of run %d: %w", run, err)
	}
	lines := bytes.Split(tail, []byte("\n"))
	if len(lines) < 2 || len(lines[len(lines)-1]) > 0 {
		return false, nil
	}
	var last Record
	return json.Unmarshal(lines[len(lines)-2], &last) == nil && last.End != nil, nil
}

// tailSize is more than an end's line takes, but for one with a very long error, which costs reading all of the journal.
const tailSize = 64 << 10

// Decode reads a journal from its file's bytes.
func Decode(data []byte) (*Story, error) {
	s := &Story{Done: map[int]Done{}, Undone: map[int]bool{}}
	began := map[int]bool{}
	for n := 1; len(data) > 0; n++ {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		data = rest
		if !whole {
			s.Torn = true
			break
		}
		var r Record
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("line %d is damaged: %w", n, err)
		}
		if (n == 1) != (r.Run != nil) {
			return nil, fmt.Errorf("line %d is damaged: the record of the run itself stands first and only there", n)
		}
		switch {
		case r.Run != nil:
			s.Run = *r.Run
		case r.Begun != nil:
			if began[r.Begun.Step] {
				return nil, fmt.Errorf("line %d is damaged: step %d begins a second time", n, r.Begun.Step)
			}
			began[r.Begun.Step] = true
			s.Steps = append(s.Steps, *r.Begun)
		case r.Done != nil && began[r.Done.Step]:
			s.Done[r.Done.Step] = *r.Done
		case r.Undone != nil && began[r.Undone.Step]:
			s.Undone[r.Undone.Step] = true
		case r.Confirm != nil:
			s.Confirm = r.Confirm
		case r.End != nil:
			s.End = r.End
		default:
			return nil, fmt.Errorf("line %d is damaged: it is no known record of a step that has begun", n)
		}
	}
	if s.Run.Run == 0 {
		if len(s.Steps) > 0 {
			return nil, fmt.Errorf("line 1 is damaged: the run has no number")
		}
		return nil, nil
	}
	return s, nil
}
