// Package state is opdbus' vocabulary: addresses, objects, changes, nodes, configurations, plans, and what a
// provider of a kind must be able to do. It does no I/O and imports the standard library only.
package state
