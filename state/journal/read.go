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

	"github.com/opdbus/opdbus/state"
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

// A DamagedError says that what a journal's file holds is not what a run wrote there.
type DamagedError struct {
	Run int
	Err error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("cannot read the journal of run %d: %v", e.Run, e.Err)
}

// Unwrap gives the cause.
func (e *DamagedError) Unwrap() error { return e.Err }

// Read reads the journal of a run. A file that holds no whole record is a run that had not begun: nil.
func Read(dir string, run int) (*Story, error) {
	data, err := os.ReadFile(Path(dir, run))
	if err != nil {
		return nil, fmt.Errorf("cannot read the journal of run %d: %w", run, err)
	}
	s, err := Decode(data)
	if err == nil && s != nil && s.Run.Run != run {
		err = fmt.Errorf("it is that of run %d", s.Run.Run)
	}
	if err != nil {
		return nil, &DamagedError{run, err}
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
	d := newDecoder()
	for n := 1; len(data) > 0; n++ {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		data = rest
		if !whole {
			d.Torn = true
			break
		}
		if err := d.line(n, line); err != nil {
			return nil, fmt.Errorf("line %d is damaged: %w", n, err)
		}
	}
	if d.Run.Run == 0 {
		return nil, nil
	}
	return d.Story, nil
}

// A decoder puts a story together line by line.
type decoder struct {
	*Story
	began map[int]bool
}

func newDecoder() *decoder {
	return &decoder{&Story{Done: map[int]Done{}, Undone: map[int]bool{}}, map[int]bool{}}
}

// line adds a line's record. One that does not fit the story is an error, and adds nothing.
func (d *decoder) line(n int, line []byte) error {
	var r Record
	if err := json.Unmarshal(line, &r); err != nil {
		return err
	}
	if (n == 1) != (r.Run != nil) {
		return errors.New("the record of the run itself stands first and only there")
	}
	switch {
	case r.Run != nil && r.Run.Run < 1:
		return errors.New("the run has no number")
	case r.Run != nil:
		d.Run = *r.Run
	case r.Begun != nil:
		if err := d.check(r.Begun); err != nil {
			return err
		}
		d.began[r.Begun.Step] = true
		d.Steps = append(d.Steps, *r.Begun)
	case r.Done != nil && d.began[r.Done.Step]:
		d.Done[r.Done.Step] = *r.Done
	case r.Undone != nil && d.began[r.Undone.Step]:
		d.Undone[r.Undone.Step] = true
	case r.Confirm != nil:
		d.Confirm = r.Confirm
	case r.End != nil:
		d.End = r.End
	default:
		return errors.New("it is no known record of a step that has begun")
	}
	return nil
}

// check says what in the record of a step that begins no run can have written.
func (d *decoder) check(b *Begun) error {
	switch {
	case b.Step < 1 || b.Node == state.NodeAddr{}:
		return errors.New("the step has no number or no node")
	case d.began[b.Step]:
		return fmt.Errorf("step %d begins a second time", b.Step)
	case b.Back == nil && d.Run.Rollback != "":
		return fmt.Errorf("step %d does not say where it goes back to", b.Step)
	}
	for _, c := range b.Changes {
		if _, err := state.ParseLocal(b.Node, c.Object); err != nil {
			return fmt.Errorf("step %d: %w", b.Step, err)
		}
		if c.At < 0 || c.Made != nil && len(c.Made.Made) == 0 || c.Origin != nil && c.Origin.Addr.IsNode() {
			return fmt.Errorf("step %d: %s: what the ledger had of it is not whole", b.Step, c.Object)
		}
	}
	return nil
}
