package reconciler

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state/ledger"
)

// A stamp tells a file from what it was before, and from one that took its place.
type stamp struct {
	ino     uint64
	size    int64
	changed int64
}

func stampOf(path string) (stamp, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	if errors.Is(err, fs.ErrNotExist) {
		return stamp{}, nil
	}
	if err != nil {
		return stamp{}, fmt.Errorf("cannot look at %s: %w", path, err)
	}
	return stamp{st.Ino, st.Size, st.Ctim.Nano()}, nil
}

// stamps are of the files that a run changes before it changes the host, and after it.
type stamps struct{ lock, ledger stamp }

// quiet says whether no run is going on. The host was not changed by one between two times at which that is so with the same stamps:
// whoever takes the lock writes that into it first.
func (w *watch) quiet() (s stamps, idle bool, err error) {
	s.lock, err = stampOf(w.Store.Lock())
	if err == nil {
		s.ledger, err = stampOf(w.Store.Ledger())
	}
	if err != nil {
		return s, false, err
	}
	holder, held, err := ledger.HolderOf(w.Store.Lock())
	if err != nil {
		return s, false, err
	}
	if held && !w.news.hasEnded(holder) && holder.Alive() {
		w.await(holder)
		return s, false, nil
	}
	story, err := w.CutOff()
	if err != nil || story == nil || Waiting(story) {
		return s, err == nil, err
	}
	if run := story.Run.Run; w.told != run {
		w.told = run
		w.o.Waiting(fmt.Sprintf("run %d was cut off or could not be taken back: nothing is looked at until opdbus recover has ended it", run))
	}
	return s, false, nil
}

// await has it be heard of when the lock's holder ends without letting go of the lock.
func (w *watch) await(h ledger.Holder) {
	if w.awaited.PID == h.PID && w.awaited.Start == h.Start && w.awaited.Boot == h.Boot {
		return
	}
	w.awaited = h
	if w.seen == nil {
		w.o.Waiting(fmt.Sprintf("the host is looked at when %s has ended", h))
	}
	go func() {
		err := h.Gone(w.listening)
		switch {
		case err == nil:
			w.news.ended(h)
		case !errors.Is(err, context.Canceled):
			w.news.hear(nil, err)
		}
	}()
}
