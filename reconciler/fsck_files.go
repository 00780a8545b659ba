package reconciler

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/opdbus/opdbus/state/durable"
	"github.com/opdbus/opdbus/state/store"
)

// checkFiles looks at the other files of the store, and for what is none of it.
func (f *fsck) checkFiles(context.Context, *store.Store) error {
	if _, err := f.Held(); err != nil && !f.going() {
		f.add(FsckFinding{Severity: Problem, Place: f.Store.Held(), What: err.Error(), Lost: "which plans are held; until it is put right, plans are refused",
			Remedy: "run `opdbus release`, after which none is held"})
	}
	if _, err := f.deleting(); err != nil && !f.going() {
		f.add(FsckFinding{Severity: Problem, Place: f.Store.Pruning(), What: err.Error(), Lost: "which snapshots were to be deleted; those that are there are listed again",
			Repair: "is set aside", mend: f.dropPruning})
	}
	state := f.Store.State()
	known := map[string]bool{f.Store.Lock(): true, f.Store.Key(): true, f.Store.Ledger(): true, f.Store.Held(): true, f.Store.Pruning(): true,
		f.Store.JournalDir(): true, f.cacheDir(): true}
	entries, err := entriesOf(state)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(state, e.Name())
		switch {
		case known[path] || isAside(e.Name()):
		case path == f.Store.Content():
			f.leftover(path, "is what a saved plan was being applied with", func(context.Context) error { return os.RemoveAll(path) })
		case f.writing(path, known):
			f.leftover(path, "is what was being written when it was cut off", f.removeFile(path))
		default:
			f.unknown(path)
		}
	}
	if err := f.checkCaches(); err != nil {
		return err
	}
	return f.checkStrangers()
}

// writing says whether a file is what a write to one of the known files has left.
func (f *fsck) writing(path string, known map[string]bool) bool {
	name, ok := strings.CutSuffix(strings.TrimPrefix(filepath.Base(path), "."), ".new")
	target := filepath.Join(filepath.Dir(path), name)
	return ok && known[target] && durable.Left(target)
}

func (f *fsck) removeFile(path string) func(context.Context) error {
	return func(context.Context) error {
		if err := os.Remove(path); err != nil {
			return err
		}
		return durable.SyncDir(filepath.Dir(path))
	}
}

// dropPruning keeps the damaged list of what is being deleted under another name.
func (f *fsck) dropPruning(ctx context.Context) error {
	if err := aside(f.Store.Pruning()); err != nil {
		return err
	}
	return f.removeFile(f.Store.Pruning())(ctx)
}

// cacheDir holds what providers need not read again. Any of it may be dropped at any time.
func (f *fsck) cacheDir() string { return filepath.Join(f.Store.State(), "index") }

// checkCaches checks that the caches can be read. What is in them is checked by whoever uses them.
func (f *fsck) checkCaches() error {
	entries, err := entriesOf(f.cacheDir())
	for _, e := range entries {
		path := filepath.Join(f.cacheDir(), e.Name())
		if !e.Type().IsRegular() {
			f.unknown(path)
			continue
		}
		if _, err := os.ReadFile(path); err != nil && !f.going() {
			f.add(FsckFinding{Severity: Problem, Place: path, What: err.Error(), Lost: "nothing: it is a cache", Repair: "is dropped", mend: f.removeFile(path)})
		}
	}
	return err
}

// checkStrangers notes what is none of opdbus' in the directories that hold its own.
func (f *fsck) checkStrangers() error {
	for _, d := range []struct {
		dir string
		own func(name string) bool
	}{
		{f.Store.Dir(), func(name string) bool {
			return name == "staging" || name == "deployment" || name == "state" || name == filepath.Base(f.Store.Roots())
		}},
		{filepath.Dir(f.Store.Images()), func(name string) bool { return name == filepath.Base(f.Store.Images()) }},
		{f.Store.JournalDir(), f.isJournal},
	} {
		entries, err := entriesOf(d.dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if !d.own(e.Name()) {
				f.unknown(filepath.Join(d.dir, e.Name()))
			}
		}
	}
	return nil
}

// isJournal says whether a file is a run's journal, or one that was set aside.
func (f *fsck) isJournal(name string) bool {
	number, rest, ok := strings.Cut(name, ".jsonl")
	var n int
	_, err := fmt.Sscanf(number, "%d", &n)
	return ok && err == nil && n > 0 && fmt.Sprint(n) == number && (rest == "" || strings.HasPrefix(rest, ".damaged"))
}
