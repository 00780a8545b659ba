package graph

import (
	"slices"
)

// A Graph holds keys and what they need. Reading it from several goroutines is safe while nobody adds to it.
type Graph[K comparable] struct {
	compare  func(a, b K) int
	index    map[K]int // a key's place in keys
	keys     []K       // in the order in which they were added
	needs    [][]int   // by place; an edge added twice is in it twice
	neededBy [][]int
}

// New makes an empty graph. What is equal by compare must be the same key.
func New[K comparable](compare func(a, b K) int) *Graph[K] {
	return &Graph[K]{compare: compare, index: map[K]int{}}
}

// Add adds a key; adding it again does nothing.
func (g *Graph[K]) Add(k K) { g.place(k) }

// Need says that k needs on, adding both.
func (g *Graph[K]) Need(k, on K) {
	i, j := g.place(k), g.place(on)
	g.needs[i] = append(g.needs[i], j)
	g.neededBy[j] = append(g.neededBy[j], i)
}

func (g *Graph[K]) place(k K) int {
	i, ok := g.index[k]
	if !ok {
		i = len(g.keys)
		g.index[k] = i
		g.keys = append(g.keys, k)
		g.needs = append(g.needs, nil)
		g.neededBy = append(g.neededBy, nil)
	}
	return i
}

// Keys lists all keys by compare.
func (g *Graph[K]) Keys() []K {
	keys := slices.Clone(g.keys)
	slices.SortFunc(keys, g.compare)
	return keys
}

// Needs lists what k itself needs, by compare.
func (g *Graph[K]) Needs(k K) []K { return g.neighbours(k, g.needs) }

// NeededBy lists the keys that themselves need k, by compare.
func (g *Graph[K]) NeededBy(k K) []K { return g.neighbours(k, g.neededBy) }

func (g *Graph[K]) neighbours(k K, edges [][]int) []K {
	i, ok := g.index[k]
	if !ok {
		return nil
	}
	var keys []K
	for _, j := range edges[i] {
		keys = append(keys, g.keys[j])
	}
	slices.SortFunc(keys, g.compare)
	return slices.Compact(keys)
}

// Reverse is the graph with every edge turned round: what needed a key is now needed by it.
func (g *Graph[K]) Reverse() *Graph[K] {
	r := New(g.compare)
	for _, k := range g.keys {
		r.Add(k)
	}
	for i := range g.keys {
		r.needs[i] = slices.Clone(g.neededBy[i])
		r.neededBy[i] = slices.Clone(g.needs[i])
	}
	return r
}
