package sysbus

import (
	"sync"

	"github.com/godbus/dbus/v5"
)

// A queue takes signals at once, however many, and gives them to a reader who may be slow or gone.
type queue struct {
	out  chan *dbus.Signal
	stop chan struct{} // closed by end: what has not been read then is dropped
	wake chan struct{}

	mu      sync.Mutex
	waiting []*dbus.Signal
	over    bool
	err     error
}

func newQueue() *queue {
	q := &queue{out: make(chan *dbus.Signal), stop: make(chan struct{}), wake: make(chan struct{}, 1)}
	go q.run()
	return q
}

func (q *queue) put(s *dbus.Signal) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, s)
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) run() {
	defer close(q.out)
	for {
		select {
		case <-q.stop:
			return
		case <-q.wake:
		}
		q.mu.Lock()
		signals := q.waiting
		q.waiting = nil
		q.mu.Unlock()
		for _, s := range signals {
			select {
			case q.out <- s:
			case <-q.stop:
				return
			}
		}
	}
}

func (q *queue) end(why error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.over {
		q.over, q.err = true, why
		close(q.stop)
	}
}

func (q *queue) why() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err
}
