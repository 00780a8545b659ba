// Package graph orders keys by what they need: a deterministic topological sort, a walk in parallel, and cycles named by
// the keys that make them. It knows nothing of what the keys stand for and imports the standard library only.
package graph
