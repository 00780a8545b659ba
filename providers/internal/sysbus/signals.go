package sysbus

import (
	"context"
	"sync"

	"github.com/godbus/dbus/v5"
)

// A Match says which signals are meant; what is empty does not matter.
type Match struct {
	Sender    string // a well-known name is matched by the bus
	Path      dbus.ObjectPath
	PathBelow dbus.ObjectPath // this one and all below it
	Interface string
	Member    string
	Arg0      string
}

// A Subscription gets signals, from when Subscribe returns until it is closed or the bus goes.
type Subscription struct {
	// C gets each signal that is meant, in the order in which they were sent. It is closed at the end.
	C <-chan *dbus.Signal

	match Match
	conn  *connection
	queue *queue
}

// Subscribe has signals sent.
func (b *Bus) Subscribe(ctx context.Context, m Match) (*Subscription, error) {
	conn, err := b.connect(ctx)
	if err != nil {
		return nil, err
	}
	s := &Subscription{match: m, conn: conn, queue: newQueue()}
	s.C = s.queue.out
	conn.subscriptions.add(s) // first, so that none is missed that comes before the call returns
	if err := conn.call(ctx, Call{Service: busName, Path: busPath, Method: busCalls + "AddMatch", Args: []any{m.rule()}}); err != nil {
		conn.subscriptions.remove(s)
		s.queue.end(err)
		return nil, err
	}
	return s, nil
}

// Close ends the subscription. The bus is told so, and it does not matter whether it still hears.
func (s *Subscription) Close() {
	if !s.conn.subscriptions.remove(s) {
		return
	}
	s.queue.end(nil)
	s.conn.Object(busName, busPath).Go(busCalls+"RemoveMatch", dbus.FlagNoReplyExpected, nil, s.match.rule())
}

// Err says why C was closed; nil when that was by Close.
func (s *Subscription) Err() error { return s.queue.why() }

// rule is the match as the bus wants it.
func (m Match) rule() string {
	rule := "type='signal'"
	for _, kv := range [][2]string{{"sender", m.Sender}, {"path", string(m.Path)}, {"path_namespace", string(m.PathBelow)}, {"interface", m.Interface}, {"member", m.Member}, {"arg0", m.Arg0}} {
		if kv[1] != "" {
			rule += "," + kv[0] + "='" + kv[1] + "'"
		}
	}
	return rule
}

// takes says whether a signal is meant. Who sent it is left to the bus, as signals name the sender by its unique name.
func (m Match) takes(s *dbus.Signal) bool {
	iface, member := split(s.Name)
	if m.Path != "" && m.Path != s.Path || m.PathBelow != "" && !below(s.Path, m.PathBelow) ||
		m.Interface != "" && m.Interface != iface || m.Member != "" && m.Member != member {
		return false
	}
	if m.Arg0 == "" {
		return true
	}
	if len(s.Body) == 0 {
		return false
	}
	first, ok := s.Body[0].(string)
	return ok && first == m.Arg0
}

func split(name string) (iface, member string) {
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '.' {
			return name[:i], name[i+1:]
		}
	}
	return "", name
}

func below(path, root dbus.ObjectPath) bool {
	return path == root || root == "/" || len(path) > len(root) && path[:len(root)] == root && path[len(root)] == '/'
}

// subscriptions are those of one connection. It is the connection's signal handler: the library calls it from the goroutine that
// reads answers as well, so that it must not wait for anybody.
type subscriptions struct {
	mu    sync.Mutex
	all   []*Subscription
	ended error
}

func newSubscriptions() *subscriptions { return &subscriptions{} }

// DeliverSignal hands a signal to whom it is meant for.
func (ss *subscriptions) DeliverSignal(_, _ string, s *dbus.Signal) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, sub := range ss.all {
		if sub.match.takes(s) {
			sub.queue.put(s)
		}
	}
}

func (ss *subscriptions) add(s *Subscription) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.ended != nil {
		s.queue.end(ss.ended)
		return
	}
	ss.all = append(ss.all, s)
}

func (ss *subscriptions) remove(s *Subscription) bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for i, sub := range ss.all {
		if sub == s {
			ss.all = append(ss.all[:i:i], ss.all[i+1:]...)
			return true
		}
	}
	return false
}

// end ends all subscriptions: the connection is no more.
func (ss *subscriptions) end(why error) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.ended = why
	for _, sub := range ss.all {
		sub.queue.end(why)
	}
	ss.all = nil
}
