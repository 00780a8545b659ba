package graph

import (
	"container/heap"
	"slices"
)

// Sort lists all keys, each after everything it needs, and keys that do not need each other by compare wherever that
// leaves a choice. The order in which keys and edges were added has no part in it. The error is a *CycleError[K].
func (g *Graph[K]) Sort() ([]K, error) {
	order, err := g.sort()
	if err != nil {
		return nil, err
	}
	keys := make([]K, len(order))
	for n, i := range order {
		keys[n] = g.keys[i]
	}
	return keys, nil
}

// sort is Kahn's algorithm with a heap for the keys that are ready; it lists places.
func (g *Graph[K]) sort() ([]int, error) {
	ready := &queue{rank: g.rank()}
	missing := make([]int, len(g.keys))
	for i := range g.keys {
		if missing[i] = len(g.needs[i]); missing[i] == 0 {
			ready.push(i)
		}
	}
	order := make([]int, 0, len(g.keys))
	for ready.Len() > 0 {
		i := ready.pop()
		order = append(order, i)
		for _, j := range g.neededBy[i] {
			if missing[j]--; missing[j] == 0 {
				ready.push(j)
			}
		}
	}
	if len(order) < len(g.keys) {
		return nil, &CycleError[K]{g.cycles(ready.rank)}
	}
	return order, nil
}

// rank is the position of each place's key among all keys by compare.
func (g *Graph[K]) rank() []int {
	places := make([]int, len(g.keys))
	for i := range places {
		places[i] = i
	}
	slices.SortFunc(places, func(i, j int) int { return g.compare(g.keys[i], g.keys[j]) })
	return inverse(places)
}

func inverse(places []int) []int {
	rank := make([]int, len(places))
	for r, i := range places {
		rank[i] = r
	}
	return rank
}

// A queue hands out places by rank, lowest first.
type queue struct {
	rank   []int
	places []int
}

func (q *queue) push(i int)         { heap.Push(q, i) }
func (q *queue) pop() int           { return heap.Pop(q).(int) }
func (q *queue) Len() int           { return len(q.places) }
func (q *queue) Less(a, b int) bool { return q.rank[q.places[a]] < q.rank[q.places[b]] }
func (q *queue) Swap(a, b int)      { q.places[a], q.places[b] = q.places[b], q.places[a] }
func (q *queue) Push(i any)         { q.places = append(q.places, i.(int)) }
func (q *queue) Pop() any {
	last := len(q.places) - 1
	i := q.places[last]
	q.places = q.places[:last]
	return i
}
