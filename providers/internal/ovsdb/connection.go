package ovsdb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// A message is a request, a reply or a notification of either side (JSON-RPC 1.0).
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  json.RawMessage `json:"error,omitempty"`
}

// An asked call waits for its answer. What has to be done with that before the next message is looked at is then's.
type asked struct {
	answer chan message
	then   func(result json.RawMessage) error
}

// A connection is one to a server, until it breaks.
type connection struct {
	stream net.Conn
	writes sync.Mutex

	mu       sync.Mutex
	last     int
	pending  map[string]asked    // by the call's id
	monitors map[string]*Monitor // by the monitor's id
	why      error               // it is broken
	broken   chan struct{}
}

func dial(ctx context.Context, network, address string) (*connection, error) {
	stream, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	conn := &connection{stream: stream, pending: map[string]asked{}, monitors: map[string]*Monitor{}, broken: make(chan struct{})}
	go conn.read()
	return conn, nil
}

func (conn *connection) err() error {
	conn.mu.Lock()
	defer conn.mu.Unlock()
	return conn.why
}

// end breaks the connection, for whoever waits on it.
func (conn *connection) end(why error) {
	conn.mu.Lock()
	defer conn.mu.Unlock()
	if conn.why != nil {
		return
	}
	conn.why = why
	close(conn.broken)
	_ = conn.stream.Close()
}

// read takes what the server sends. Nothing separates one message from the next.
func (conn *connection) read() {
	from := json.NewDecoder(conn.stream)
	for {
		var m message
		if err := from.Decode(&m); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
				err = errors.New("the server has gone")
			}
			conn.end(fmt.Errorf("the connection to the switch's database broke: %w", err))
			return
		}
		switch m.Method {
		case "":
			conn.mu.Lock()
			of := conn.pending[string(m.ID)]
			delete(conn.pending, string(m.ID))
			conn.mu.Unlock()
			if of.then != nil && !m.failed() {
				if err := of.then(m.Result); err != nil {
					conn.end(err)
					return
				}
			}
			if of.answer != nil {
				of.answer <- m
			}
		case "echo": // who does not answer is disconnected
			if err := conn.send(map[string]any{"id": m.ID, "result": m.Params, "error": nil}); err != nil {
				conn.end(err)
				return
			}
		case "update":
			if err := conn.update(m.Params); err != nil {
				conn.end(err)
				return
			}
		}
	}
}

func (conn *connection) send(m any) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	conn.writes.Lock()
	defer conn.writes.Unlock()
	_, err = conn.stream.Write(data)
	return err
}

// failed says whether it is a reply that tells of an error.
func (m message) failed() bool { return len(m.Error) > 0 && !bytes.Equal(m.Error, []byte("null")) }

// call makes a call and waits for its answer.
func (conn *connection) call(ctx context.Context, method string, params any) (json.RawMessage, error) {
	return conn.callThen(ctx, method, params, nil)
}

func (conn *connection) callThen(ctx context.Context, method string, params any, then func(json.RawMessage) error) (json.RawMessage, error) {
	within, cancel := context.WithTimeout(ctx, DefaultTimeout)
	defer cancel()
	answer := make(chan message, 1)
	conn.mu.Lock()
	conn.last++
	id := fmt.Sprint(conn.last)
	conn.pending[id] = asked{answer, then}
	conn.mu.Unlock()
	forget := func() {
		conn.mu.Lock()
		delete(conn.pending, id)
		conn.mu.Unlock()
	}
	if err := conn.send(map[string]any{"id": json.RawMessage(id), "method": method, "params": params}); err != nil {
		forget()
		conn.end(fmt.Errorf("cannot ask the switch's database: %w", err))
		return nil, &unsentError{conn.err()}
	}
	select {
	case m := <-answer:
		if m.failed() {
			return nil, fmt.Errorf("the switch's database cannot do %s: %s", method, said(m.Error))
		}
		return m.Result, nil
	case <-conn.broken:
		return nil, conn.err()
	case <-within.Done():
		forget()
		_ = conn.send(map[string]any{"id": nil, "method": "cancel", "params": []any{json.RawMessage(id)}}) // RFC 7047, 4.1.4
		if ctx.Err() != nil {
			return nil, fmt.Errorf("cannot wait for the switch's database to answer %s: %w", method, ctx.Err())
		}
		return nil, fmt.Errorf("the switch's database did not answer %s within %s; ovsdb-server may hang", method, DefaultTimeout)
	}
}

// said is an error as the server words it: an object of error and details, or whatever it is.
func said(data json.RawMessage) string {
	var e struct{ Error, Details string }
	if json.Unmarshal(data, &e) == nil && e.Error != "" {
		if e.Details != "" {
			return e.Error + ": " + e.Details
		}
		return e.Error
	}
	return string(data)
}

// decode reads JSON with numbers as they are written.
func decode(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode(into)
}

// An unsentError says that nothing was asked, as the server had gone.
type unsentError struct{ error }

func (e *unsentError) Unwrap() error { return e.error }
