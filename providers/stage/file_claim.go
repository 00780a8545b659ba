package stage

import (
	"fmt"
	"strings"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/state"
)

// Owns says whether what stands at a target is what opdbus made there. A link is when it leads where ours did, or into
// the stages' trees; a copy also when it was edited; a copy-if-not-exists only while it is as it was written.
func (f *files) Owns(made *File, live File) bool {
	if made == nil {
		return false
	}
	if made.Target != live.Target {
		return live.Type == typeSymlink && made.Type == typeSymlink && f.staged(live.Link)
	}
	if made.Backup != "" && live.Backup == "" {
		// What was aside is back, or somebody removed it: then what is exactly what we made is ours still.
		return live.Type != typeDirectory && made.Type == live.Type && made.Link == live.Link && made.Digest == live.Digest
	}
	switch {
	case live.Type == typeSymlink:
		return made.Type == typeSymlink && (live.Link == made.Link || f.staged(live.Link))
	case live.isCopy():
		return made.Type == typeCopy || made.Type == typeCopyOnce && !made.Kept && made.Digest == live.Digest
	case live.Type == typeDirectory:
		_, left := f.left.Load(live.Target)
		return made.Type == typeDirectory && !left
	}
	return false
}

// staged says whether a link leads into the stages' trees.
func (f *files) staged(link string) bool { return strings.HasPrefix(link, f.staging()) }

// Claim settles a conflict as the block says.
func (f *files) Claim(want, live File) (File, error) {
	switch {
	case live.Type == typeBlocked:
		return want, fmt.Errorf("%s cannot be gone to safely: %s. Choose another target, or put right what is in the way", want.Target, live.Why)
	case want.Was != "":
		return want, f.conflict(live, "The file is to move there from "+want.Was+": move away what is there first")
	case want.Type == typeCopyOnce && live.isCopy():
		// It is there already, as the type says it may be. It stays, and is never ours to remove.
		live.OnConflict, live.Kept, live.Digest = want.OnConflict, true, ""
		live.Mode, live.Owner, live.Group = "", "", ""
		return live, nil
	case want.OnConflict != onFail && want.OnConflict != "" && live.equal(want):
		return want, nil
	case want.OnConflict == onBackup:
		want.Backup = hostfs.BackupOf(want.Target)
		if there, err := f.exists(want.Backup); err != nil || there {
			return want, orConflict(err, fmt.Errorf("%s would be kept as %s, and something is there already; move one of the two away", want.Target, want.Backup))
		}
		return want, nil
	case want.OnConflict == onAdopt:
		return want, f.conflict(live, "It cannot be adopted, since it is not what is wanted: "+difference(live, want))
	}
	return want, f.conflict(live, `Set on_conflict = "backup" to keep it aside while the stage is deployed, or "adopt" to take it over if it is what is wanted already, or move it away`)
}

func orConflict(err, conflict error) error {
	if err != nil {
		return err
	}
	return conflict
}

// conflict says what stands in the way and what can be done about it.
func (f *files) conflict(live File, remedy string) error {
	return fmt.Errorf("%s is there already and is not opdbus' own: %s. %s", live.Target, f.describe(live), remedy)
}

// describe says what stands at a target, for people.
func (f *files) describe(live File) string {
	if live.Type == typeSymlink {
		return "a symlink to " + live.Link
	}
	what := live.Type
	_ = f.inspect(live.Target, func(l *looker, s *standing) error {
		if err := l.owners.load(); err != nil {
			return err
		}
		what = fmt.Sprintf("a %s of %s", s.stat.Kind(), l.owners.accounts.User(int(s.stat.UID)))
		if s.stat.IsRegular() {
			what += fmt.Sprintf(", %d bytes", s.stat.Size)
		}
		return nil
	})
	return what
}

// inspect looks at one target.
func (f *files) inspect(target string, do func(*looker, *standing) error) error {
	t, err := f.fs.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	l := f.looker(t)
	return t.In(target, func(d *hostfs.Dir, name string) error {
		s, err := l.stand(d, name, target, state.NodeAddr{})
		if err != nil {
			return err
		}
		return do(l, s)
	})
}

func (f *files) exists(target string) (bool, error) {
	err := f.inspect(target, func(*looker, *standing) error { return nil })
	if hostfs.IsMissing(err) {
		return false, nil
	}
	return err == nil, err
}

// difference says how what stands there differs from what is wanted.
func difference(live, want File) string {
	if live.Type != want.Type {
		return fmt.Sprintf("it is a %s and not a %s", live.Type, want.Type)
	}
	var differs []string
	for _, a := range []struct{ name, live, want string }{
		{"link", live.Link, want.Link}, {"mode", live.Mode, want.Mode}, {"owner", live.Owner, want.Owner}, {"group", live.Group, want.Group},
	} {
		if a.live != a.want {
			differs = append(differs, fmt.Sprintf("its %s is %s and not %s", a.name, a.live, a.want))
		}
	}
	if live.Digest != want.Digest {
		differs = append(differs, "its content is another one")
	}
	return strings.Join(differs, ", ")
}
