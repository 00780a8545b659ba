package stage

import (
	"context"
	"errors"
	"path"
	"slices"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/state"
)

// PlanAll completes wanted files by what is remembered of them (which parents were made, where a backup is) and by what
// only the host can tell: which parents are to be made now, and what is left at a target that a file moves away from.
func (f *files) PlanAll(_ context.Context, items []state.Planned[File]) error {
	t, err := f.fs.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	p := &planner{files: f, looker: f.looker(t), made: map[string]bool{}, declared: map[string]bool{}, parents: map[string][]string{}}
	for _, it := range items {
		if it.Made != nil {
			for _, dir := range it.Made.Parents {
				p.made[dir] = true
			}
		}
		if it.Want != nil && it.Want.Type == typeDirectory {
			p.declared[it.Want.Target] = true
		}
	}
	for i := range items {
		if items[i].Want == nil {
			continue
		}
		if err := p.complete(&items[i]); err != nil {
			return err
		}
	}
	return nil
}

type planner struct {
	*files
	looker   *looker
	made     map[string]bool     // directories that were made for something we own
	declared map[string]bool     // directories that are objects themselves
	parents  map[string][]string // by directory
}

func (p *planner) complete(it *state.Planned[File]) (err error) {
	want := *it.Want
	if made := it.Made; made != nil && made.Target == want.Target {
		want.Parents = made.Parents
		if want.Type == typeCopyOnce && made.isCopy() && it.Live != nil && it.Live.isCopy() {
			// It is not written again, so that what was written is what it is to be told from an edit by.
			want.Kept, want.Digest, want.Mode, want.Owner, want.Group = made.Kept, made.Digest, made.Mode, made.Owner, made.Group
		}
		if made.Backup != "" {
			if want.Backup, err = p.looker.backup(made.Backup); err != nil {
				return err
			}
		}
	} else if made != nil {
		if err := p.move(it, &want); err != nil {
			return err
		}
	}
	if it.Made == nil || it.Live == nil || want.Was != "" {
		parents, err := p.parentsOf(want.Target)
		if err != nil {
			return err
		}
		want.Parents = union(want.Parents, parents)
	}
	it.Want = &want
	return nil
}

// move looks at the target that the file moves away from: what of ours is still there goes with the change.
func (p *planner) move(it *state.Planned[File], want *File) error {
	made := *it.Made
	made.Was = ""
	var live File
	there, err := p.looker.read(it.Addr.Node, &made, &live)
	if err != nil || !there || !p.Owns(&made, live) {
		return err
	}
	want.Was, want.Parents = made.Target, made.Parents
	return nil
}

// parentsOf are the directories above a target that are missing now, or that were made for something we own.
func (p *planner) parentsOf(target string) ([]string, error) {
	dir := path.Dir(target)
	if parents, ok := p.parents[dir]; ok {
		return parents, nil
	}
	missing, err := p.looker.Missing(target)
	var blocked *hostfs.BlockedError
	if err != nil && !errors.As(err, &blocked) { // what is blocked is a conflict already
		return nil, err
	}
	var parents []string
	for _, above := range hostfs.Ancestors(target) {
		if !p.declared[above] && (p.made[above] || slices.Contains(missing, above)) {
			parents = append(parents, above)
		}
	}
	p.parents[dir] = parents
	return parents, nil
}

func union(a, b []string) []string {
	if len(a) == 0 {
		return b
	}
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
