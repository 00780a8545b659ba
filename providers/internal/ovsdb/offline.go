package ovsdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
)

// DefaultFile is where the database of DefaultAddress is kept.
const DefaultFile = "/etc/openvswitch/conf.db"

// Query has operations done that change nothing. Where no server runs, what it would have comes from its file (ovsdb-tool(1)); where there is
// none either, there is no database, and no result of any operation.
func (c *Client) Query(ctx context.Context, database string, ops ...Operation) ([]Result, error) {
	found, err := c.Transact(ctx, database, ops...)
	var absent *AbsentError
	if !errors.As(err, &absent) {
		return found, err
	}
	if c.address != DefaultAddress {
		return nil, nil
	}
	if _, err := os.Stat(DefaultFile); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	params := []any{database}
	for _, op := range ops {
		params = append(params, op)
	}
	transaction, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "ovsdb-tool", "query", DefaultFile, string(transaction))
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, nil // the package was removed, and its configuration kept
	}
	if err != nil {
		return nil, fmt.Errorf("%w; and its file %s cannot be read: %w: %s", absent, DefaultFile, err, strings.TrimSpace(said.String()))
	}
	return results(ops, out)
}
