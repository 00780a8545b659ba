// Package ledger keeps what opdbus owns and what it last made it be, and the lock that lets one run at a time change
// that. It may import state, the durable writer and the standard library.
package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/durable"
)

// version of the file's format. A ledger of a later one is refused, since what it does not know it would drop.
const version = 1

// A Ledger is what is owned, by node. Its methods may be called concurrently.
type Ledger struct {
	Head
	mu    sync.Mutex
	nodes map[state.NodeAddr]*Node
}

// A Head is what the ledger's file says besides its nodes.
type Head struct {
	Version int    `json:"version"`
	Opdbus  string `json:"opdbus,omitempty"` // the version of opdbus that wrote it
	Host    string `json:"host,omitempty"`   // the machine id
	Config  string `json:"config,omitempty"` // the digest of the configuration last applied
	Run     int    `json:"run"`              // the last run that changed it
}

// A Node is what is owned for one node, in the order in which it was made.
type Node struct {
	DependsOn []state.NodeAddr `json:"depends_on,omitempty"`
	Run       int              `json:"run"` // the last run that changed it
	Objects   []Entry          `json:"objects"`

	once  sync.Once
	index map[string]int // Entry.Object to its place
	raw   json.RawMessage
}

// An Entry is one owned object: its address within the node and what it was last made to be, as JSON.
type Entry struct {
	Object string          `json:"object"`
	Made   json.RawMessage `json:"made"`
	// Sensitive names the attributes that are secret: they are not shown when nobody declares them any more.
	Sensitive []string `json:"sensitive,omitempty"`
}

// New is a ledger that owns nothing.
func New() *Ledger {
	return &Ledger{Head: Head{Version: version}, nodes: map[state.NodeAddr]*Node{}}
}

// Load reads the ledger at path. One that is not there owns nothing.
func Load(path string) (*Ledger, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return New(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the ledger: %w", err)
	}
	l, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("cannot read the ledger %s: %w", path, err)
	}
	return l, nil
}

// Addrs lists the nodes, ordered.
func (l *Ledger) Addrs() []state.NodeAddr {
	l.mu.Lock()
	defer l.mu.Unlock()
	addrs := make([]state.NodeAddr, 0, len(l.nodes))
	for a := range l.nodes {
		addrs = append(addrs, a)
	}
	slices.SortFunc(addrs, state.NodeAddr.Compare)
	return addrs
}

// Node is what is owned for a node; nil for nothing. It must not be changed.
func (l *Ledger) Node(addr state.NodeAddr) *Node {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nodes[addr]
}

// Made is what an object was last made to be; nil when it is not owned.
func (n *Node) Made(local string) json.RawMessage {
	e, _ := n.Entry(local)
	return e.Made
}

// Entry is an object's entry and where it stands among the node's; the zero Entry when the object is not owned.
func (n *Node) Entry(local string) (e Entry, at int) {
	if n == nil {
		return Entry{}, 0
	}
	n.once.Do(func() {
		n.index = make(map[string]int, len(n.Objects))
		for i, e := range n.Objects {
			n.index[e.Object] = i
		}
	})
	if i, ok := n.index[local]; ok {
		return n.Objects[i], i
	}
	return Entry{}, 0
}

// Stamp says who wrote the ledger for which configuration, in which run.
func (l *Ledger) Stamp(opdbus, host, config string, run int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Opdbus, l.Host, l.Config, l.Run = opdbus, host, config, run
}

// Set replaces what is owned for a node; nil, or a node without objects, owns nothing.
func (l *Ledger) Set(addr state.NodeAddr, n *Node) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n == nil || len(n.Objects) == 0 {
		delete(l.nodes, addr)
		return
	}
	l.nodes[addr] = n
}

// Restore takes the objects called gone out of a node and puts entries back to the places where they stood.
func (l *Ledger) Restore(addr state.NodeAddr, dependsOn []state.NodeAddr, run int, gone map[string]bool, entries map[int]Entry) {
	var kept []Entry
	if n := l.Node(addr); n != nil {
		for _, e := range n.Objects {
			if !gone[e.Object] {
				kept = append(kept, e)
			}
		}
	}
	all := make([]Entry, 0, len(kept)+len(entries))
	for len(kept) > 0 || len(entries) > 0 {
		e, ok := entries[len(all)]
		switch {
		case ok:
			delete(entries, len(all))
		case len(kept) > 0:
			e, kept = kept[0], kept[1:]
		default: // a place behind the end: what stood before it is still with another step that is taken back later
			at := slices.Min(slices.Collect(maps.Keys(entries)))
			e = entries[at]
			delete(entries, at)
		}
		all = append(all, e)
	}
	l.Set(addr, &Node{DependsOn: dependsOn, Run: run, Objects: all})
}

// Drop gives up one object of a node. A node stays without any until it goes itself, as it has a tree.
func (l *Ledger) Drop(a state.Addr) {
	n := l.Node(a.Node)
	if n.Made(a.Local()) == nil {
		return
	}
	left := slices.Clone(n.Objects)
	left = slices.DeleteFunc(left, func(e Entry) bool { return e.Object == a.Local() })
	l.put(a.Node, &Node{DependsOn: n.DependsOn, Run: n.Run, Objects: left})
}

func (l *Ledger) put(addr state.NodeAddr, n *Node) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nodes[addr] = n
}

// Encode is the ledger's file: readable JSON with one object a line.
func (l *Ledger) Encode() ([]byte, error) {
	addrs := l.Addrs()
	l.mu.Lock()
	defer l.mu.Unlock()
	b, err := json.Marshal(l.Head)
	if err != nil {
		return nil, err
	}
	b = append(b[:len(b)-1], `,"nodes":{`...)
	size := 64
	for _, a := range addrs {
		n := l.nodes[a]
		if n.raw == nil {
			if n.raw, err = n.encode(); err != nil {
				return nil, err
			}
		}
		size += len(n.raw) + 256
	}
	b = slices.Grow(b, size)
	for i, a := range addrs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '\n')
		key, err := json.Marshal(a.String())
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, key...), ':'), l.nodes[a].raw...)
	}
	return append(b, "}}\n"...), nil
}

// Written is what the ledger has of a node, as it is written there; nil when it owns nothing of it.
func (l *Ledger) Written(addr state.NodeAddr) (json.RawMessage, error) {
	n := l.Node(addr)
	if n == nil {
		return nil, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n.raw == nil {
		var err error
		if n.raw, err = n.encode(); err != nil {
			return nil, err
		}
	}
	return n.raw, nil
}

// SetWritten replaces what is owned for a node by what Written gave.
func (l *Ledger) SetWritten(addr state.NodeAddr, raw json.RawMessage) error {
	if len(raw) == 0 {
		l.Set(addr, nil)
		return nil
	}
	n := &Node{}
	if err := n.decode(raw); err != nil {
		return fmt.Errorf("%s: %w", addr, err)
	}
	n.raw = nil // whoever kept it may have laid it out in another way
	l.put(addr, n)
	return nil
}

func (n *Node) encode() (json.RawMessage, error) {
	b, err := json.Marshal(struct {
		DependsOn []state.NodeAddr `json:"depends_on,omitempty"`
		Run       int              `json:"run"`
	}{n.DependsOn, n.Run})
	if err != nil {
		return nil, err
	}
	size := len(b) + 64
	for _, e := range n.Objects {
		size += len(e.Object) + len(e.Made) + 48
	}
	b = append(slices.Grow(b, size)[:len(b)-1], `,"objects":[`...)
	for i, e := range n.Objects {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = e.Append(append(b, '\n')); err != nil {
			return nil, err
		}
	}
	return append(b, "]}"...), nil
}

// Append writes an entry as JSON. Its value goes in as it is.
func (e Entry) Append(b []byte) ([]byte, error) {
	b = append(appendName(append(b, `{"object":`...), e.Object), `,"made":`...)
	b = append(b, e.Made...)
	if len(e.Sensitive) > 0 {
		names, err := json.Marshal(e.Sensitive)
		if err != nil {
			return nil, err
		}
		b = append(append(b, `,"sensitive":`...), names...)
	}
	return append(b, '}'), nil
}

// appendName writes an object's name as JSON. All that is special in nearly every name is its quotes.
func appendName(b []byte, name string) []byte {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c == '\\' || c >= 0x7f || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(name) // a string can always be marshalled
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	for i := range len(name) {
		if name[i] == '"' {
			b = append(b, '\\')
		}
		b = append(b, name[i])
	}
	return append(b, '"')
}

// Save replaces the file at path, so that it is the old one or the new one whatever happens.
func (l *Ledger) Save(path string) error {
	data, err := l.Encode()
	if err != nil {
		return fmt.Errorf("cannot encode the ledger: %w", err)
	}
	if err := durable.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("cannot write the ledger: %w", err)
	}
	return nil
}
