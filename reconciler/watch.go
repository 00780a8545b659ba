package reconciler

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/ledger"
)

// WatchOptions say what is watched, and who is told. Those who are told are called one after the other; an error of theirs ends the
// watch.
type WatchOptions struct {
	// Targets are looked at only; none: everything that is owned.
	Targets []state.Addr
	// First gets everything as it is at the beginning.
	First func(objects []Owned) error
	// Turned gets what is no longer as it was told last, in the ledger's order: what drifted, drifted otherwise, or drifts no more.
	Turned func(turned []Owned) error
	// Waiting is told why nothing is looked at for now, when that may take long.
	Waiting func(why string)
}

const (
	burst   = 100 * time.Millisecond // this long nothing happens any more when something is looked at
	patient = time.Second            // but it is looked at after this long
	again   = time.Second            // what could not be read is read again after this
	tries   = 3
)

// Watch tells how what is owned drifts, until ctx ends: it looks at everything once, and then only at what something happened to
// that the kinds hear of, and at what a run has made. While a run is going on it looks at nothing: what that changes is no drift. It
// takes no lock and changes nothing. At the end it says how many objects are drifted.
func (r *Reconciler) Watch(ctx context.Context, o WatchOptions) (drifted int, err error) {
	// What is heard of until the end is looked at still.
	listening, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	w := &watch{Reconciler: r, o: o, listening: listening, news: newNews(), drifted: map[state.Addr]Owned{}}
	defer w.unlisten()
	if err := r.hearStore(listening, w.news); err != nil {
		return 0, err
	}
	for {
		err := w.turn(ctx)
		switch {
		case ctx.Err() != nil && w.seen == nil:
			return 0, ctx.Err()
		case ctx.Err() != nil:
			err := w.turn(listening)
			return len(w.drifted), err
		case err != nil:
			return 0, err
		}
		w.pause(ctx)
	}
}

// A watch goes on.
type watch struct {
	*Reconciler
	o         WatchOptions
	listening context.Context
	news      *news
	objects   []Owned               // what the ledger has, without what is live
	now       map[state.Addr]string // its entries
	loaded    stamp                 // of its file, when that was read
	listened  map[state.Addr]string // the entries that are listened to
	silence   func()                // ends listening to them
	seen      map[state.Addr]string // the entries when they were looked at; nil: nothing was yet
	drifted   map[state.Addr]Owned
	failed    int // tries to read, one after the other
	awaited   ledger.Holder
	told      int // the run that was cut off and of which was told
}

// turn looks at what there is to look at, and tells.
func (w *watch) turn(ctx context.Context) error {
	before, idle, err := w.quiet()
	if err != nil || !idle {
		return err
	}
	named, err := w.news.take()
	if err != nil {
		return err
	}
	if w.now == nil || before.ledger != w.loaded {
		if err := w.load(before.ledger); err != nil {
			return err
		}
	}
	// What is new is listened to before it is looked at.
	if w.listened == nil || !maps.Equal(w.now, w.listened) {
		if err := w.listen(w.objects); err != nil {
			return err
		}
		w.listened = w.now
	}
	var objects []Owned
	for _, o := range w.objects {
		made, known := w.seen[o.Addr]
		if named[o.Addr] || !known || made != w.now[o.Addr] {
			objects = append(objects, o)
		}
	}
	err = w.look(ctx, objects)
	after, idle, quietErr := w.quiet()
	switch {
	case quietErr != nil:
		return quietErr
	case !idle || after != before: // what was read may be what a run was about to change
		w.news.put(named)
		w.news.wake()
		return nil
	case err != nil:
		if w.failed++; w.failed == tries {
			return err
		}
		w.news.put(named)
		time.AfterFunc(again, w.news.wake)
		return nil
	}
	w.failed = 0
	return w.tell(objects)
}

// load reads the ledger's file.
func (w *watch) load(file stamp) error {
	l, err := ledger.Load(w.Store.Ledger())
	if err != nil {
		return err
	}
	objects, made, err := w.entries(l, w.o.Targets)
	if err != nil {
		return err
	}
	w.objects, w.loaded, w.now = objects, file, make(map[state.Addr]string, len(objects))
	for i, o := range objects {
		w.now[o.Addr] = string(made[i])
	}
	return nil
}

// tell tells what has turned out differently, and remembers it.
func (w *watch) tell(objects []Owned) error {
	first := w.seen == nil
	var turned []Owned
	for _, was := range w.drifted {
		if _, owned := w.now[was.Addr]; !owned { // it is not ours any more: there is nothing that it could drift from
			was.Made, was.Live = nil, nil
			turned = append(turned, was)
		}
	}
	slices.SortFunc(turned, func(a, b Owned) int {
		return cmp.Or(a.Addr.Node.Compare(b.Addr.Node), strings.Compare(a.Addr.Local(), b.Addr.Local()))
	})
	for _, o := range turned {
		delete(w.drifted, o.Addr)
	}
	for _, o := range objects {
		was, drifted := w.drifted[o.Addr]
		if !o.Drifted() {
			delete(w.drifted, o.Addr)
		} else {
			w.drifted[o.Addr] = o
		}
		if drifted != o.Drifted() || drifted && !(state.Same(was.Live, o.Live) && state.Same(was.Made, o.Made)) {
			turned = append(turned, o)
		}
	}
	w.seen = w.now
	switch {
	case first:
		return w.o.First(objects)
	case len(turned) > 0:
		return w.o.Turned(turned)
	}
	return nil
}

// listen has the kinds listen to objects, and stops listening to those before only then, so that nothing is missed.
func (w *watch) listen(objects []Owned) error {
	ctx, cancel := context.WithCancel(w.listening)
	before := w.silence
	w.silence = cancel
	defer func() {
		if before != nil {
			before()
		}
	}()
	addrs, made := map[*state.Kind][]state.Addr{}, map[*state.Kind][]state.Object{}
	for _, o := range objects {
		kind, err := w.kind(o.Addr)
		if err != nil {
			return err
		}
		addrs[kind], made[kind] = append(addrs[kind], o.Addr), append(made[kind], o.Made)
	}
	for _, kind := range w.Kinds {
		switch {
		case len(addrs[kind]) == 0:
		case !kind.IsWatcher():
			w.Log.Warn("cannot be watched, and is looked at after runs only", "kind", kind.Type(), "objects", len(addrs[kind]))
		default:
			if err := kind.Watch(ctx, addrs[kind], made[kind], w.news.hear); err != nil {
				return fmt.Errorf("cannot watch %s: %w", kind.Type(), err)
			}
		}
	}
	return nil
}

func (w *watch) unlisten() {
	if w.silence != nil {
		w.silence()
	}
}

// pause waits until there is something to look at, and a burst of it is over.
func (w *watch) pause(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-w.news.some:
	}
	limit := time.After(patient)
	for {
		select {
		case <-w.news.some:
			continue
		case <-time.After(burst):
		case <-limit:
		case <-ctx.Done():
		}
		return
	}
}
