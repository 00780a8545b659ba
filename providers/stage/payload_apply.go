package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/tree"
	"github.com/opdbus/opdbus/state"
)

// ApplyAll builds the tree as it is to be beside the node's own, sharing what does not change, and exchanges the two: who
// reads in the stage sees all of the old one or all of the new one, and finds every path at every moment.
func (p *payloads) ApplyAll(ctx context.Context, site state.Site, changes []state.ChangeOf[Payload]) error {
	if err := p.Subvolumes.Delete(site.Beside); err != nil {
		return err
	}
	if err := p.Subvolumes.Snapshot(site.Dir, site.Beside, false); err != nil {
		return err
	}
	b := &builder{payloads: p, site: site, owners: &owners{host: p.host}, written: make(map[string]string, len(changes))}
	if err := b.build(ctx, changes); err != nil {
		return errors.Join(err, p.Subvolumes.Delete(site.Beside))
	}
	entries, err := b.look(ctx)
	if err != nil {
		return errors.Join(err, p.Subvolumes.Delete(site.Beside))
	}
	if err := p.Subvolumes.Exchange(site.Dir, site.Beside); err != nil {
		return err
	}
	return p.saveIndexes(site.Node, entries)
}

// Sync brings the store to disk.
func (p *payloads) Sync(_ context.Context, site state.Site, _ []state.ChangeOf[Payload]) error {
	return hostfs.Syncfs(filepath.Dir(site.Dir))
}

// saveIndexes writes what is known of the source and the tree, or removes it with the last file.
func (p *payloads) saveIndexes(node state.NodeAddr, entries []tree.Entry) error {
	if len(entries) == 0 {
		return errors.Join(tree.Drop(p.index(node, ofTree)), tree.Drop(p.index(node, ofSource)))
	}
	if err := os.MkdirAll(filepath.Dir(p.index(node, ofTree)), 0o700); err != nil {
		return fmt.Errorf("cannot make the directory of the indexes: %w", err)
	}
	if err := tree.Save(p.index(node, ofTree), entries); err != nil {
		return err
	}
	if source := p.scans.get(node); source != nil {
		return tree.Save(p.index(node, ofSource), source)
	}
	return nil
}

// A builder changes a tree that nobody looks at.
type builder struct {
	*payloads
	site    state.Site
	owners  *owners
	root    int
	written map[string]string // digests by path
}

func (b *builder) build(ctx context.Context, changes []state.ChangeOf[Payload]) (err error) {
	if b.root, err = unix.Open(b.site.Beside, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("cannot open %s: %w", b.site.Beside, err)
	}
	defer unix.Close(b.root)
	// A directory is made before what is in it, and removed after it, in whatever order the changes come.
	changes = slices.Clone(changes)
	slices.SortFunc(changes, func(x, y state.ChangeOf[Payload]) int { return tree.Compare(x.Addr.Key, y.Addr.Key) })
	for i := len(changes) - 1; i >= 0; i-- {
		if err := b.clear(&changes[i]); err != nil {
			return err
		}
	}
	jobs := make([]job, 0, len(changes))
	for i := range changes {
		after := changes[i].After
		switch {
		case after == nil:
		case after.Type == typeDirectory:
			if err := b.directory(after); err != nil {
				return err
			}
		default:
			j := job{before: changes[i].Before, after: after}
			if j.attributes, err = b.owners.attributes(after.Mode, after.Owner, after.Group); err != nil {
				return fmt.Errorf("cannot make %s: %w", after.Path, err)
			}
			if after.Type == typeFile {
				b.written[after.Path] = after.Digest
			}
			jobs = append(jobs, j)
		}
	}
	return b.run(ctx, jobs)
}

// clear removes what is not wanted any more, or is to be of another type.
func (b *builder) clear(c *state.ChangeOf[Payload]) error {
	if c.Before == nil || c.After != nil && c.After.Type == c.Before.Type {
		return nil
	}
	flags := 0
	if c.Before.Type == typeDirectory {
		flags = unix.AT_REMOVEDIR
	}
	err := b.in(c.Before.Path, func(dir int, name string) error {
		return unix.Unlinkat(dir, name, flags)
	})
	switch {
	case err == nil, errors.Is(err, unix.ENOENT):
		return nil
	case c.After == nil && (errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EISDIR)):
		b.left.Store(leftover{b.site.Node, c.Before.Path}, true) // it holds, or is, what nobody declared
		return nil
	}
	return fmt.Errorf("cannot remove %s from the stage: %w", c.Before.Path, err)
}

// in opens the directory that a path of the tree is in. No link is followed.
func (b *builder) in(p string, f func(dir int, name string) error) error {
	parent, name := path.Split(p)
	if parent == "" {
		return f(b.root, name)
	}
	fd, err := tree.OpenBelow(b.root, parent, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return f(fd, name)
}

func (b *builder) directory(p *Payload) error {
	b.left.Delete(leftover{b.site.Node, p.Path})
	a, err := b.owners.attributes(p.Mode, p.Owner, p.Group)
	if err == nil {
		err = b.in(p.Path, func(dir int, name string) error {
			if err := unix.Mkdirat(dir, name, 0o755); err != nil && err != unix.EEXIST {
				return err
			}
			fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			return a.Set(fd)
		})
	}
	if err != nil {
		return fmt.Errorf("cannot make the directory %s in the stage: %w", p.Path, err)
	}
	return nil
}

// look lists the tree as it was built, and waits until a later change to any of its files is sure to show in its times.
func (b *builder) look(ctx context.Context) ([]tree.Entry, error) {
	entries, err := tree.Scan(ctx, b.site.Beside, tree.Options{
		Index: tree.Load(b.host.index(b.site.Node, ofTree)),
		Skip:  notPayload,
		Known: func(path string) string { return b.written[path] },
	})
	if err != nil {
		return nil, err
	}
	grain, newest := tree.Grain(), int64(0)
	for i := range entries {
		newest = max(newest, entries[i].Stat.Ctime)
	}
	now := time.Now().UnixNano()
	if wait := newest + grain - now; wait >= 0 && wait <= 2*grain {
		time.Sleep(time.Duration(wait + 1))
		now = time.Now().UnixNano()
	}
	for i := range entries {
		entries[i].Known = now
	}
	return entries, nil
}
