// Package render writes plans, graphs and tables for people and programs: plans as text and in the shape of Terraform's
// plan JSON, graphs as DOT, Mermaid and JSON. Whatever comes from a configuration or a host is escaped, so that it cannot
// act on a terminal, and secrets are masked by package state before they get here. It may import state and graph, and
// libraries that render; it knows no provider.
package render

import "github.com/opdbus/opdbus/state"

// Options say how something is rendered. The zero value is plain text of any width.
type Options struct {
	Color   bool
	Width   int  // columns; 0: not known
	Verbose bool // leave nothing out
	ASCII   bool // nothing but ASCII
	// Key is the host's, for the fingerprints of secrets; without one there are none.
	Key []byte
	// Kinds tell the types of objects in a plan's JSON.
	Kinds state.Kinds
}
