package ovsdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// DefaultAddress is where ovsdb-server listens unless it is told otherwise.
const DefaultAddress = "unix:" + DefaultDir + "/db.sock"

// DefaultDir is where the sockets of the switch's daemons are unless they are told otherwise.
const DefaultDir = "/var/run/openvswitch"

// DefaultTimeout is how long a call may take.
const DefaultTimeout = 25 * time.Second

// A Client asks one server. It connects at the first call, and again when the server has gone. It is for all goroutines.
type Client struct {
	address string

	mu   sync.Mutex
	conn *connection
}

// New is a client of the server at unix:PATH or tcp:HOST:PORT.
func New(address string) *Client { return &Client{address: address} }

// Close ends the connection, and the monitors on it.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		c.conn.end(errClosed)
		c.conn = nil
	}
}

var errClosed = errors.New("the client was closed")

// An AbsentError says that there is no server.
type AbsentError struct {
	Address string
	err     error
}

func (e *AbsentError) Error() string {
	return fmt.Sprintf("cannot connect to the switch's database at %s: %v; Open vSwitch is not installed or ovsdb-server does not run: install openvswitch-switch, and start it, such as with systemctl start openvswitch-switch.service", e.Address, e.err)
}

// Unwrap is why.
func (e *AbsentError) Unwrap() error { return e.err }

func (c *Client) connect(ctx context.Context) (*connection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil && c.conn.err() == nil {
		return c.conn, nil
	}
	network, address, ok := strings.Cut(c.address, ":")
	if !ok || network != "unix" && network != "tcp" {
		return nil, fmt.Errorf("%q is no address of a switch's database; it is unix:PATH or tcp:HOST:PORT", c.address)
	}
	conn, err := dial(ctx, network, address)
	if err != nil {
		return nil, &AbsentError{c.address, err}
	}
	c.conn = conn
	return conn, nil
}

// Databases are the names of those that the server has.
func (c *Client) Databases(ctx context.Context) (names []string, err error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	data, err := conn.call(ctx, "list_dbs", []any{})
	if err != nil {
		return nil, err
	}
	return names, json.Unmarshal(data, &names)
}

// Transact has all operations done, or none.
func (c *Client) Transact(ctx context.Context, database string, ops ...Operation) ([]Result, error) {
	return c.ask(ctx, func(conn *connection) ([]Result, error) { return conn.transact(ctx, database, ops) })
}

// ask asks on a connection, and on a new one where the server had gone before it was asked.
func (c *Client) ask(ctx context.Context, what func(*connection) ([]Result, error)) (found []Result, err error) {
	for range 2 {
		conn, connecting := c.connect(ctx)
		if connecting != nil {
			return nil, connecting
		}
		found, err = what(conn)
		var unsent *unsentError
		if !errors.As(err, &unsent) {
			break
		}
	}
	return found, err
}

func (conn *connection) transact(ctx context.Context, database string, ops []Operation) ([]Result, error) {
	params := make([]any, 0, len(ops)+1)
	params = append(params, database)
	for _, op := range ops {
		params = append(params, op)
	}
	data, err := conn.call(ctx, "transact", params)
	if err != nil {
		return nil, err
	}
	return results(ops, data)
}

// Database is the one that configures a switch.
const Database = "Open_vSwitch"

// Configure has all operations done on the switch's configuration, or none, and waits until ovs-vswitchd has seen to it. What it could not
// do it says in the rows, such as in Interface.error.
func (c *Client) Configure(ctx context.Context, ops ...Operation) ([]Result, error) {
	return c.ask(ctx, func(conn *connection) ([]Result, error) { return conn.configure(ctx, ops) })
}

func (conn *connection) configure(ctx context.Context, ops []Operation) ([]Result, error) {
	seen, err := conn.monitor(ctx, Database, map[string][]string{Database: {"cur_cfg"}})
	if err != nil {
		return nil, err
	}
	defer seen.Close()
	done, err := conn.transact(ctx, Database, append(append([]Operation{}, ops...),
		Mutate(Database, Every(), Mutation{"next_cfg", "+=", 1}), Select(Database, Every(), "next_cfg")))
	if err != nil {
		return nil, err
	}
	rows := done[len(ops)+1].Rows
	if len(rows) != 1 {
		return nil, fmt.Errorf("the switch's database has %d rows in its table %s instead of one; ovs-vsctl init makes it", len(rows), Database)
	}
	next, _ := rows[0]["next_cfg"].(int64)
	within, cancel := context.WithTimeout(ctx, DefaultTimeout)
	defer cancel()
	err = seen.Wait(within, func(tables Tables) bool {
		for _, row := range tables[Database] {
			if at, _ := row["cur_cfg"].(int64); at >= next { // another's change may have come in between
				return true
			}
		}
		return false
	})
	if within.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("ovs-vswitchd has not done within %s what is configured; it hangs or does not run", DefaultTimeout)
	}
	return done[:len(ops)], err
}
