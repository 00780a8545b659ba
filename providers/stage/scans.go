package stage

import (
	"sync"

	"github.com/opdbus/opdbus/providers/internal/tree"
	"github.com/opdbus/opdbus/state"
)

// scans are what expanding stages has found in their sources, until it is written into an index: expanding only reads.
type scans struct {
	mu      sync.Mutex
	entries map[state.NodeAddr][]tree.Entry
}

func newScans() *scans { return &scans{entries: map[state.NodeAddr][]tree.Entry{}} }

func (s *scans) put(node state.NodeAddr, entries []tree.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries[node] = entries
}

func (s *scans) get(node state.NodeAddr) []tree.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries[node]
}
