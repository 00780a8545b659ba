package reconciler

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/snapshot"
)

// A NeededError says that snapshots cannot be deleted, and why.
type NeededError struct{ Reasons []string }

func (e *NeededError) Error() string {
	return "cannot delete what is still needed:\n  " + strings.Join(e.Reasons, "\n  ")
}

// Prunable lists the snapshots that are kept no longer, in order: those of runs that are neither among the newest that are to be kept
// nor young enough, unless something needs them. Its caller holds the store's lock, or only wants to know.
func (r *Reconciler) Prunable(limits state.SnapshotSettings, now time.Time) ([]snapshot.Info, error) {
	infos, err := r.Snapshots()
	if err != nil {
		return nil, err
	}
	until := keptAfter(infos, limits, now)
	old := func(i snapshot.Info) bool { return i.Problem == "" && i.Run <= until }
	if !slices.ContainsFunc(infos, old) {
		return nil, nil
	}
	needed, err := r.needs(infos)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(infos, func(i snapshot.Info) bool { return !old(i) || needed.why(i) != "" }), nil
}

// keptAfter is the last run whose snapshots the limits do not keep; 0 when they keep all. Whole runs go, oldest first: going
// back to a snapshot takes those of all nodes that came after it. A snapshot whose record cannot be read is of no run.
func keptAfter(infos []snapshot.Info, limits state.SnapshotSettings, now time.Time) (until int) {
	var runs []int
	newest := map[int]time.Time{} // of a run's snapshots
	for _, i := range infos {     // in the order of the runs
		if i.Problem != "" {
			continue
		}
		if _, seen := newest[i.Run]; !seen {
			runs = append(runs, i.Run)
		}
		if i.Created.After(newest[i.Run]) {
			newest[i.Run] = i.Created
		}
	}
	for n, run := range runs {
		tooMany := limits.Keep > 0 && len(runs)-n > limits.Keep
		tooOld := limits.KeepDays > 0 && now.Sub(newest[run]) >= time.Duration(limits.KeepDays)*24*time.Hour
		if !tooMany && !tooOld {
			break
		}
		until = run
	}
	return until
}

// Deletable finds the snapshots with these names, and refuses to delete what a run needs, what rolling back a node needs, unless
// it is forced to, and half of a pair.
func (r *Reconciler) Deletable(names []string, force bool) ([]snapshot.Info, error) {
	infos, err := r.Snapshots()
	if err != nil {
		return nil, err
	}
	needed, err := r.needs(infos)
	if err != nil {
		return nil, err
	}
	var victims []snapshot.Info
	var reasons []string
	for _, i := range infos {
		if !slices.Contains(names, i.Name) {
			continue
		}
		victims = append(victims, i)
		if why := needed.byRun(i); why != "" {
			reasons = append(reasons, i.Name+" "+why)
		} else if why := needed.why(i); why != "" && !force {
			reasons = append(reasons, i.Name+" "+why+"; --force deletes it all the same")
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(victims, func(i snapshot.Info) bool { return i.Name == name }) {
			return nil, fmt.Errorf("there is no snapshot %s; opdbus snapshots lists those that there are", name)
		}
	}
	for _, i := range infos {
		if slices.Contains(names, i.Name) {
			continue
		}
		if of := slices.IndexFunc(victims, func(v snapshot.Info) bool { return pair(v, i) }); of >= 0 {
			if i.Subvolume != "" {
				return nil, fmt.Errorf("%s and %s are of one set, which was taken with run %d; name all of it to delete it", victims[of].Name, i.Name, i.Run)
			}
			return nil, fmt.Errorf("%s and %s are a pair, of one step; name both to delete them", victims[of].Name, i.Name)
		}
	}
	if len(reasons) > 0 {
		return nil, &NeededError{reasons}
	}
	return victims, nil
}

// pair says whether two snapshots belong together: of one step, or of one set of subvolumes.
func pair(a, b snapshot.Info) bool {
	return a.Problem == "" && b.Problem == "" && a.Run == b.Run && (a.Step == b.Step || a.Subvolume != "" && b.Subvolume != "")
}
