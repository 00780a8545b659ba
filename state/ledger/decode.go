package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/opdbus/opdbus/state"
)

// A VersionError says that a ledger is of a format that is not known.
type VersionError struct{ Version int }

func (e *VersionError) Error() string {
	return fmt.Sprintf("its format is version %d, and this opdbus knows version %d only", e.Version, version)
}

// Newer says whether a later opdbus wrote it.
func (e *VersionError) Newer() bool { return e.Version > version }

// Decode reads a ledger from its file's bytes. It is read before every plan, and with many objects nearly all of that would be
// time spent in encoding/json on values that nobody will look at. So what Encode wrote is taken apart by its lines, and
// values are left as they stand; what anybody else wrote goes through encoding/json.
func Decode(data []byte) (*Ledger, error) {
	head, nodes, ok := split(data)
	if !ok {
		var file struct {
			Head
			Nodes map[string]json.RawMessage `json:"nodes"`
		}
		if err := json.Unmarshal(data, &file); err != nil {
			return nil, err
		}
		head, nodes = file.Head, file.Nodes
	}
	if head.Version != version {
		return nil, &VersionError{head.Version}
	}
	l := New()
	l.Head = head
	for key, raw := range nodes {
		var addr state.NodeAddr
		if err := addr.UnmarshalText([]byte(key)); err != nil {
			return nil, err
		}
		n := &Node{raw: raw}
		if err := n.decode(raw); err != nil {
			return nil, fmt.Errorf("%s: %w", addr, err)
		}
		l.nodes[addr] = n
	}
	return l, nil
}

// split takes apart what Encode wrote: the head's line, and each node's lines, the first of which begins with a quote.
func split(data []byte) (head Head, nodes map[string]json.RawMessage, ok bool) {
	first, rest, _ := bytes.Cut(data, []byte("\n"))
	first, isHead := bytes.CutSuffix(first, []byte(`"nodes":{`))
	rest, whole := bytes.CutSuffix(rest, []byte("}}\n"))
	if !isHead || !whole || json.Unmarshal(append(bytes.Clone(first), `"nodes":{}}`...), &head) != nil {
		return head, nil, false
	}
	nodes = map[string]json.RawMessage{}
	for len(rest) > 0 {
		node := rest
		if end := bytes.Index(rest, []byte("\n\"")); end >= 0 {
			node, rest = rest[:end], rest[end+1:]
			if node, ok = bytes.CutSuffix(node, []byte(",")); !ok {
				return head, nil, false
			}
		} else {
			rest = nil
		}
		at := bytes.Index(node, []byte(`":{`))
		var key string
		if at < 0 || json.Unmarshal(node[:at+1], &key) != nil {
			return head, nil, false
		}
		nodes[key] = json.RawMessage(node[at+2:])
	}
	return head, nodes, true
}

// decode reads a node.
func (n *Node) decode(raw json.RawMessage) error {
	if !n.lines(raw) {
		*n = Node{raw: raw}
		if err := json.Unmarshal(raw, n); err != nil {
			return err
		}
	}
	for _, e := range n.Objects {
		if _, err := state.ParseLocal(state.NodeAddr{}, e.Object); err != nil {
			return err
		}
		if len(e.Made) == 0 {
			return fmt.Errorf("object %s has no value", e.Object)
		}
	}
	return nil
}

// lines reads what encode wrote: a line for the head, and one for each object.
func (n *Node) lines(raw []byte) bool {
	head, rest, found := bytes.Cut(raw, []byte("\n"))
	head, isHead := bytes.CutSuffix(head, []byte(`,"objects":[`))
	if !found || !isHead || json.Unmarshal(append(bytes.Clone(head), '}'), n) != nil {
		return false
	}
	n.Objects = make([]Entry, 0, bytes.Count(rest, []byte("\n"))+1)
	for more := true; more; {
		var line []byte
		line, rest, more = bytes.Cut(rest, []byte("\n"))
		end := "]}"
		if more {
			end = ","
		}
		line, ok := bytes.CutSuffix(line, []byte(end))
		if !ok {
			return false
		}
		e, ok := parseEntry(line)
		if !ok && json.Unmarshal(line, &e) != nil {
			return false
		}
		n.Objects = append(n.Objects, e)
	}
	return true
}

// parseEntry reads {"object":…,"made":…}; what has more to it is left to encoding/json.
func parseEntry(line []byte) (e Entry, ok bool) {
	line, ok = bytes.CutPrefix(line, []byte(`{"object":"`))
	if !ok {
		return e, false
	}
	name, made, ok := bytes.Cut(line, []byte(`","made":{`))
	if !ok || !bytes.HasSuffix(made, []byte("}}")) || bytes.Contains(made, []byte(`},"sensitive":[`)) {
		return e, false
	}
	e.Made = json.RawMessage(line[len(line)-len(made)-1 : len(line)-1])
	e.Object = strings.ReplaceAll(string(name), `\"`, `"`)
	if strings.Contains(e.Object, `\`) {
		return e, json.Unmarshal([]byte(`"`+string(name)+`"`), &e.Object) == nil
	}
	return e, true
}
