package journal

import (
	"encoding/json"
	"slices"
)

// encode is a record's line. The values in a step's changes are JSON already and go in as they are: encoding/json would
// check and copy each of them again, which takes longer than making them did.
func (r Record) encode() ([]byte, error) {
	if r.Begun == nil {
		return json.Marshal(r)
	}
	head := *r.Begun
	head.Changes = nil
	b, err := json.Marshal(Record{Begun: &head})
	if err != nil {
		return nil, err
	}
	const end = `"changes":null}}`
	size := len(b)
	for i := range r.Begun.Changes {
		size += r.Begun.Changes[i].size()
	}
	b = append(slices.Grow(b, size)[:len(b)-len(end)], `"changes":[`...)
	for i := range r.Begun.Changes {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = r.Begun.Changes[i].append(b); err != nil {
			return nil, err
		}
	}
	return append(b, "]}}"...), nil
}

func (c *Change) size() int {
	n := len(c.Object) + len(c.Before) + len(c.After) + 128
	if c.Made != nil {
		n += len(c.Object) + len(c.Made.Made) + 64
	}
	return n
}

// append writes a change as encoding/json would.
func (c *Change) append(b []byte) ([]byte, error) {
	head := *c
	head.Before, head.After, head.Made = nil, nil, nil
	h, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	b = append(b, h[:len(h)-1]...)
	for _, side := range []struct {
		name  string
		value json.RawMessage
	}{{"before", c.Before}, {"after", c.After}} {
		if side.value != nil {
			b = append(append(append(append(b, `,"`...), side.name...), `":`...), side.value...)
		}
	}
	if c.Made != nil {
		if b, err = c.Made.Append(append(b, `,"made":`...)); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}
