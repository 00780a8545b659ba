package graph

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A CycleError says that keys need each other. There is one cycle for each group of keys that all need each other, a
// shortest one through the group's smallest key, which it starts at. Each key of a cycle needs the next; the last is the
// first again.
type CycleError[K comparable] struct{ Cycles [][]K }

func (e *CycleError[K]) Error() string {
	var cycles []string
	for _, c := range e.Cycles {
		var keys []string
		for _, k := range c {
			keys = append(keys, fmt.Sprint(k))
		}
		cycles = append(cycles, "cycle: "+strings.Join(keys, " needs "))
	}
	return strings.Join(cycles, "; ")
}

func (g *Graph[K]) cycles(rank []int) [][]K {
	var starts []int // the smallest of each component with a cycle
	component := g.components()
	smallest := make([]int, len(component))
	size := make([]int, len(component))
	for i, c := range component {
		if size[c]++; size[c] == 1 || rank[i] < rank[smallest[c]] {
			smallest[c] = i
		}
	}
	for c, i := range smallest {
		if size[c] > 1 || size[c] == 1 && slices.Contains(g.needs[i], i) {
			starts = append(starts, i)
		}
	}
	slices.SortFunc(starts, func(i, j int) int { return cmp.Compare(rank[i], rank[j]) })
	var cycles [][]K
	for _, i := range starts {
		cycles = append(cycles, g.shortest(i, component, rank))
	}
	return cycles
}

// shortest finds a shortest way from start back to it, breadth first and within its component, which holds one.
func (g *Graph[K]) shortest(start int, component, rank []int) []K {
	from := map[int]int{} // whom a place was reached from
	for todo := []int{start}; ; todo = todo[1:] {
		i := todo[0]
		next := slices.Clone(g.needs[i])
		slices.SortFunc(next, func(a, b int) int { return cmp.Compare(rank[a], rank[b]) })
		for _, j := range next {
			if j == start {
				return g.path(start, i, from)
			}
			if _, seen := from[j]; !seen && component[j] == component[start] {
				from[j] = i
				todo = append(todo, j)
			}
		}
	}
}

// path is the closed path from start over from to last and back to start.
func (g *Graph[K]) path(start, last int, from map[int]int) []K {
	path := []K{g.keys[start]}
	for i := last; i != start; i = from[i] {
		path = append(path, g.keys[i])
	}
	path = append(path, g.keys[start])
	slices.Reverse(path)
	return path
}

// components numbers the strongly connected components, by place. It is Tarjan's algorithm with a stack of its own, so
// that a long chain does not grow the goroutine's.
func (g *Graph[K]) components() []int {
	const unseen = -1
	var (
		n         = len(g.keys)
		component = make([]int, n)
		seen      = make([]int, n) // when a place was first seen
		low       = make([]int, n) // the earliest seen that is known to be in the same component
		edge      = make([]int, n) // the next edge to follow
		open      []int            // seen, component not known yet
		clock     int
	)
	for i := range n {
		component[i], seen[i] = unseen, unseen
	}
	for root := range n {
		if seen[root] != unseen {
			continue
		}
		for way := []int{root}; len(way) > 0; {
			i := way[len(way)-1]
			if seen[i] == unseen {
				seen[i], low[i] = clock, clock
				clock++
				open = append(open, i)
			}
			if edge[i] < len(g.needs[i]) {
				j := g.needs[i][edge[i]]
				switch {
				case seen[j] == unseen:
					way = append(way, j) // the edge is looked at again on the way back
					continue
				case component[j] == unseen:
					low[i] = min(low[i], low[j])
				}
				edge[i]++
				continue
			}
			way = way[:len(way)-1]
			if low[i] != seen[i] {
				continue
			}
			for {
				j := open[len(open)-1]
				open = open[:len(open)-1]
				component[j] = i
				if j == i {
					break
				}
			}
		}
	}
	return component
}
