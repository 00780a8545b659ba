package stage

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/tree"
	"github.com/opdbus/opdbus/state"
)

// files is the provider of what stands at targets in the system.
type files struct {
	*host
	// left are the directories that a deletion left because they hold what opdbus did not make: nobody's from then on.
	left sync.Map
}

// Read reads one file.
func (f *files) Read(ctx context.Context, want File) (*File, error) {
	lives, err := f.ReadAll(ctx, []state.Item[File]{{Want: want}})
	if err != nil {
		return nil, err
	}
	return lives[0], nil
}

// Apply cannot work without the node, which has the content; ApplyAll does.
func (*files) Apply(context.Context, *File, *File) error { return errBatch }

// ReadAll looks at all targets, with one walk to each directory and mostly one system call for each link.
func (f *files) ReadAll(ctx context.Context, items []state.Item[File]) ([]*File, error) {
	t, err := f.fs.Open()
	if err != nil {
		return nil, err
	}
	defer t.Close()
	l := f.looker(t)
	lives := make([]*File, len(items))
	found := make([]File, len(items))
	for i := range items {
		if i%chunk == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		there, err := l.read(items[i].Addr.Node, &items[i].Want, &found[i])
		if err != nil {
			return nil, err
		}
		if there {
			lives[i] = &found[i]
		}
	}
	return lives, nil
}

// A looker looks at targets.
type looker struct {
	*hostfs.Tree
	host    *host
	owners  owners
	indexes map[state.NodeAddr]*tree.Index
	buf     [4096]byte
}

func (f *files) looker(t *hostfs.Tree) *looker {
	return &looker{Tree: t, host: f.host, owners: owners{host: f.host}, indexes: map[state.NodeAddr]*tree.Index{}}
}

// read is what stands at want's target, as want describes it. A file that is still where it moves away from stands there.
func (l *looker) read(node state.NodeAddr, want *File, live *File) (there bool, err error) {
	if there, err = l.readAt(node, want, want.Target, live); there || err != nil || want.Was == "" {
		return there, err
	}
	if there, err = l.readAt(node, want, want.Was, live); !there || err != nil {
		return there, err
	}
	live.Backup, err = l.backup(hostfs.BackupOf(want.Was))
	return true, err
}

func (l *looker) readAt(node state.NodeAddr, want *File, target string, live *File) (there bool, err error) {
	err = l.In(target, func(d *hostfs.Dir, name string) error {
		if want.Type == typeSymlink {
			n, ok, err := d.ReadlinkBuf(name, l.buf[:])
			if ok {
				*live = File{Type: typeSymlink, Link: want.Link}
				if string(l.buf[:n]) != want.Link {
					live.Link = string(l.buf[:n])
				}
			}
			if ok || err != nil {
				return err
			}
		}
		s, err := l.stand(d, name, target, node)
		if err != nil {
			return err
		}
		*live, err = s.as(want)
		return err
	})
	var blocked *hostfs.BlockedError
	switch {
	case hostfs.IsMissing(err):
		return false, nil
	case errors.As(err, &blocked):
		*live, err = File{Type: typeBlocked, Why: blocked.Reason}, nil
	case err != nil:
		return false, err
	}
	live.Path, live.Target, live.OnConflict = want.Path, target, want.OnConflict
	live.Parents, live.Was, live.Kept = want.Parents, want.Was, want.Kept
	if want.Backup != "" {
		live.Backup, err = l.backup(want.Backup)
	}
	return true, err
}

// backup is the path of a backup, empty when there is none.
func (l *looker) backup(path string) (string, error) {
	exists := false
	err := l.In(path, func(d *hostfs.Dir, name string) (err error) {
		exists, err = d.Exists(name)
		return err
	})
	if err != nil && !hostfs.IsMissing(err) || !exists {
		return "", ignoreMissing(err)
	}
	return path, nil
}

func ignoreMissing(err error) error {
	if hostfs.IsMissing(err) {
		return nil
	}
	return err
}

// A standing thing is what was found under a name.
type standing struct {
	looker *looker
	dir    *hostfs.Dir
	name   string
	target string
	node   state.NodeAddr
	stat   tree.Stat
	link   string
	digest string // once it was asked for
}

// stand looks at what is called name. Nothing there is an error that wraps fs.ErrNotExist.
func (l *looker) stand(d *hostfs.Dir, name, target string, node state.NodeAddr) (*standing, error) {
	st, err := d.Lstat(name)
	if err != nil {
		return nil, err
	}
	s := &standing{looker: l, dir: d, name: name, target: target, node: node, stat: tree.StatOf(&st)}
	if s.stat.IsLink() {
		s.link, err = d.Readlink(name)
	}
	return s, err
}

// as describes the thing with the attributes that want has.
func (s *standing) as(want *File) (File, error) {
	var f File
	var err error
	switch {
	case s.stat.IsLink():
		f.Type, f.Link = typeSymlink, s.link
		return f, nil
	case s.stat.IsDir():
		f.Type = typeDirectory
	case s.stat.IsRegular():
		f.Type, f.Size = typeCopy, s.stat.Size
		if want.isCopy() {
			f.Type = want.Type
		}
		if f.Digest, err = s.content(); err != nil {
			return f, err
		}
		f.Digest = shared(f.Digest, want.Digest)
	default:
		f.Type = typeOther
	}
	mode, owner, group := want.Mode, want.Owner, want.Group
	if want.Type == typeSymlink {
		// A link has none of these, but whoever puts back what a link has replaced has nothing else to go by.
		mode, owner, group = hostfs.FormatMode(s.stat.Perm()), rootName, rootName
	}
	f.Mode = liveMode(s.stat.Perm(), mode)
	if f.Owner, err = s.looker.owners.user(s.stat.UID, owner); err == nil {
		f.Group, err = s.looker.owners.group(s.stat.GID, group)
	}
	return f, err
}

// is says whether the thing is exactly what a file describes.
func (s *standing) is(f *File) (bool, error) {
	live, err := s.as(f)
	return err == nil && live.equal(*f), err
}

// content is the digest of a regular file, from the node's index of copies where the file has not changed.
func (s *standing) content() (string, error) {
	if s.digest != "" {
		return s.digest, nil
	}
	x, loaded := s.looker.indexes[s.node]
	if !loaded {
		x = tree.Load(s.looker.host.index(s.node, ofCopies))
		s.looker.indexes[s.node] = x
	}
	if d, ok := x.Digest(indexed(s.target), s.stat); ok {
		s.digest = d
		return d, nil
	}
	f, err := s.dir.Open(s.name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	s.digest, err = tree.Copy(nil, tree.Raw(f.Fd()))
	return s.digest, err
}

// Sync brings what was written to disk, with one call for each file system.
func (f *files) Sync(_ context.Context, _ state.Site, changes []state.ChangeOf[File]) error {
	t, err := f.fs.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	targets := make([]string, 0, len(changes))
	for _, c := range changes {
		for _, file := range []*File{c.Before, c.After} {
			if file != nil && file.Type != typeBlocked {
				targets = append(targets, file.Target)
			}
		}
	}
	return t.Sync(targets)
}

// notEmpty says whether a directory could not be removed because something is in it.
func notEmpty(err error) bool {
	return errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST)
}
