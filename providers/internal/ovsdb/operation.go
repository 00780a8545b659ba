package ovsdb

import (
	"encoding/json"
	"fmt"
)

// An Operation is one of a transaction (RFC 7047, 5.2).
type Operation struct {
	Op        string      `json:"op"`
	Table     string      `json:"table,omitempty"`
	Row       Row         `json:"row,omitzero"`
	Rows      []Row       `json:"rows,omitzero"`
	Where     []Condition `json:"where,omitzero"` // nil is left out, and empty means every row
	Columns   []string    `json:"columns,omitzero"`
	Mutations []Mutation  `json:"mutations,omitempty"`
	Until     string      `json:"until,omitempty"`
	Timeout   *int        `json:"timeout,omitempty"` // milliseconds
	UUIDName  string      `json:"uuid-name,omitempty"`
	Comment   string      `json:"comment,omitempty"`
}

// A Condition is a column, a function such as "==", and a value.
type Condition [3]any

// A Mutation is a column, a mutator such as "insert", and a value.
type Mutation [3]any

// Of is the row with a UUID.
func Of(id UUID) []Condition { return []Condition{{"_uuid", "==", id}} }

// Every is every row.
func Every() []Condition { return []Condition{} }

// Insert makes a row, which others of the transaction refer to by its name.
func Insert(table, name string, row Row) Operation {
	return Operation{Op: "insert", Table: table, UUIDName: name, Row: row}
}

// Update sets columns of rows.
func Update(table string, where []Condition, row Row) Operation {
	return Operation{Op: "update", Table: table, Where: where, Row: row}
}

// Mutate changes columns of rows.
func Mutate(table string, where []Condition, mutations ...Mutation) Operation {
	return Operation{Op: "mutate", Table: table, Where: where, Mutations: mutations}
}

// Delete deletes rows. Those of tables that are not roots go by themselves when nothing refers to them any more.
func Delete(table string, where []Condition) Operation {
	return Operation{Op: "delete", Table: table, Where: where}
}

// Select reads columns of rows; without columns all.
func Select(table string, where []Condition, columns ...string) Operation {
	return Operation{Op: "select", Table: table, Where: where, Columns: columns}
}

// Unless has the transaction fail, with an Error that is Changed, when the columns of the rows are not so any more.
func Unless(table string, where []Condition, columns []string, rows ...Row) Operation {
	now := 0
	return Operation{Op: "wait", Table: table, Where: where, Columns: columns, Until: "==", Rows: rows, Timeout: &now}
}

// Comment is in the database's log.
func Comment(text string) Operation { return Operation{Op: "comment", Comment: text} }

// A Result is what came of an operation.
type Result struct {
	UUID  UUID  // of the row that was inserted
	Count int   // of rows that were updated, mutated or deleted
	Rows  []Row // that were selected
}

// An Error is an operation that failed, or a transaction whose result the schema does not allow; nothing of it was done.
type Error struct {
	Op      *Operation // nil: the transaction as a whole
	Name    string     // such as "constraint violation"
	Details string
}

func (e *Error) Error() string {
	text := e.Name
	if e.Details != "" {
		text += ": " + e.Details
	}
	switch {
	case e.Changed():
		return fmt.Sprintf("the table %s of the switch's database changed since it was read", e.Op.Table)
	case e.Op == nil:
		return "the switch's database refuses the transaction: " + text
	}
	return fmt.Sprintf("the switch's database cannot %s %s: %s", e.Op.Op, e.Op.Table, text)
}

// Changed says that an Unless did not hold.
func (e *Error) Changed() bool { return e.Op != nil && e.Op.Op == "wait" && e.Name == "timed out" }

// results reads what came of a transaction's operations: one of each, nothing of those after one that failed, and one more where the
// whole is refused (RFC 7047, 4.1.3).
func results(ops []Operation, data json.RawMessage) ([]Result, error) {
	var raw []*struct {
		Error   string          `json:"error"`
		Details string          `json:"details"`
		UUID    json.RawMessage `json:"uuid"`
		Count   int             `json:"count"`
		Rows    []Row           `json:"rows"`
	}
	if err := decode(data, &raw); err != nil {
		return nil, fmt.Errorf("the switch's database answers a transaction with something else than it should: %w", err)
	}
	all := make([]Result, len(ops))
	for i, r := range raw {
		switch {
		case r == nil:
			continue
		case r.Error != "":
			e := &Error{Name: r.Error, Details: r.Details}
			if i < len(ops) {
				e.Op = &ops[i]
			}
			return nil, e
		case i >= len(ops):
			continue
		}
		all[i] = Result{Count: r.Count, Rows: r.Rows}
		if r.UUID != nil {
			var id [2]string
			if err := json.Unmarshal(r.UUID, &id); err != nil {
				return nil, fmt.Errorf("the switch's database tells no UUID of a row that it inserted: %w", err)
			}
			all[i].UUID = UUID(id[1])
		}
	}
	if len(raw) < len(ops) {
		return nil, fmt.Errorf("the switch's database answers %d of %d operations", len(raw), len(ops))
	}
	return all, nil
}
