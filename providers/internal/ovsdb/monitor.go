package ovsdb

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
)

// Tables are rows by tables and UUIDs.
type Tables map[string]map[UUID]Row

// A Monitor keeps up with tables, for as long as its connection holds.
type Monitor struct {
	conn   *connection
	id     string
	tables Tables        // guarded by conn.mu
	change chan struct{} // closed at the next change
}

// Monitor begins to keep up with columns of tables; of a table without columns, with all of them.
func (c *Client) Monitor(ctx context.Context, database string, columns map[string][]string) (*Monitor, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	return conn.monitor(ctx, database, columns)
}

func (conn *connection) monitor(ctx context.Context, database string, columns map[string][]string) (*Monitor, error) {
	requests := map[string]any{}
	for table, of := range columns {
		request := map[string]any{}
		if of != nil {
			request["columns"] = of
		}
		requests[table] = request
	}
	conn.mu.Lock()
	conn.last++
	m := &Monitor{conn: conn, id: fmt.Sprintf("m%d", conn.last), tables: Tables{}, change: make(chan struct{})}
	for table := range columns {
		m.tables[table] = map[UUID]Row{}
	}
	conn.monitors[m.id] = m
	conn.mu.Unlock()
	// The answer is what is there, and has to be taken before the changes that follow it.
	if _, err := conn.callThen(ctx, "monitor", []any{database, m.id, requests}, m.take); err != nil {
		m.forget()
		return nil, err
	}
	return m, nil
}

func (m *Monitor) forget() {
	m.conn.mu.Lock()
	defer m.conn.mu.Unlock()
	delete(m.conn.monitors, m.id)
}

// Close ends it.
func (m *Monitor) Close() {
	m.forget()
	if m.conn.err() == nil {
		ctx, cancel := context.WithTimeout(context.Background(), DefaultTimeout)
		defer cancel()
		_, _ = m.conn.call(ctx, "monitor_cancel", []any{m.id})
	}
}

// update takes what the server tells of tables that are monitored.
func (conn *connection) update(params json.RawMessage) error {
	var parts []json.RawMessage
	var id string
	if err := json.Unmarshal(params, &parts); err != nil || len(parts) != 2 || json.Unmarshal(parts[0], &id) != nil {
		return fmt.Errorf("the switch's database tells of a change in another way than it should: %.200s", params)
	}
	conn.mu.Lock()
	m := conn.monitors[id]
	conn.mu.Unlock()
	if m == nil {
		return nil
	}
	return m.take(parts[1])
}

// take notes rows, each of which is told whole.
func (m *Monitor) take(data json.RawMessage) error {
	var tables map[string]map[UUID]struct {
		New *Row `json:"new"`
	}
	if err := json.Unmarshal(data, &tables); err != nil {
		return fmt.Errorf("the switch's database tells of rows in another way than it should: %w", err)
	}
	m.conn.mu.Lock()
	defer m.conn.mu.Unlock()
	for table, rows := range tables {
		if m.tables[table] == nil {
			m.tables[table] = map[UUID]Row{}
		}
		for id, row := range rows {
			if row.New == nil {
				delete(m.tables[table], id)
			} else {
				m.tables[table][id] = *row.New
			}
		}
	}
	close(m.change)
	m.change = make(chan struct{})
	return nil
}

// Rows are the tables as they are now.
func (m *Monitor) Rows() Tables {
	m.conn.mu.Lock()
	defer m.conn.mu.Unlock()
	now := make(Tables, len(m.tables))
	for table, rows := range m.tables {
		now[table] = maps.Clone(rows)
	}
	return now
}

// Wait waits until the tables are so. It is an error when the connection breaks before.
func (m *Monitor) Wait(ctx context.Context, so func(Tables) bool) error {
	for {
		m.conn.mu.Lock()
		change := m.change
		m.conn.mu.Unlock()
		if so(m.Rows()) {
			return nil
		}
		select {
		case <-change:
		case <-m.conn.broken:
			return m.conn.err()
		case <-ctx.Done():
			return fmt.Errorf("cannot wait for the switch's database: %w", ctx.Err())
		}
	}
}
