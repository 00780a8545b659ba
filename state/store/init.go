package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/durable"
	"github.com/opdbus/opdbus/state/snapshot"
)

// Options are Init's.
type Options struct {
	// NoImage refuses a store that is not on btrfs instead of making an image for it.
	NoImage bool
	// ImageSize is how many bytes the image may grow to. Zero: half of what is free where the image is, and no more than
	// 64 GiB. It takes up only what is in it.
	ImageSize int64
	Log       hclog.Logger // nil: none
}

// Init makes what of the host's store is not there yet and says what it did. It can be run again at any time, after a
// power cut in the middle of it too. When it fails, it takes back what it made.
func Init(ctx context.Context, host state.Host, opts Options) (Report, error) {
	if opts.Log == nil {
		opts.Log = hclog.NewNullLogger()
	}
	l, w := LayoutOf(host), &work{log: opts.Log}
	if err := initialise(ctx, l, w, opts); err != nil {
		if errors.Is(err, unix.EROFS) {
			err = fmt.Errorf("%w; remount its file system writable", err)
		}
		err = fmt.Errorf("cannot make store %s: %w", l.Dir(), err)
		if undo := w.undo(); undo != nil {
			err = fmt.Errorf("%w; and cannot take back what was made: %w", err, undo)
		}
		return nil, err
	}
	return w.report, nil
}

func initialise(ctx context.Context, l Layout, w *work, opts Options) error {
	if os.Geteuid() != 0 {
		return errors.New("it takes root")
	}
	if strings.ContainsFunc(l.inside, unicode.IsControl) {
		return errors.New("its path has a control character, which no unit of systemd can hold")
	}
	if err := l.contained(l.Dir(), l.host.Path(unitDir)); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.parents(filepath.Dir(l.Dir())); err != nil {
		return err
	}
	unlock, err := lock(ctx, filepath.Dir(l.Dir()))
	if err != nil {
		return err
	}
	defer unlock()
	if err := w.directory(directory{l.Dir(), 0o755}); err != nil {
		return err
	}
	inImage, err := l.filesystem(ctx, w, opts)
	if err != nil {
		return err
	}
	if inImage {
		if err := l.mountUnit(w); err != nil {
			return err
		}
	}
	for _, d := range l.directories() {
		if err := w.directory(d); err != nil {
			return err
		}
	}
	if err := l.key(w); err != nil {
		return err
	}
	if err := l.units(w); err != nil {
		return err
	}
	if !w.report.Made() {
		return nil
	}
	return errors.Join(snapshot.Sync(l.Dir()), durable.SyncDir(filepath.Dir(l.Dir())))
}

// contained refuses paths that a link takes out of the root.
func (l Layout) contained(paths ...string) error {
	if l.host.Path("") == "" {
		return nil
	}
	root, err := filepath.EvalSymlinks(l.host.Root)
	if err != nil {
		return err
	}
	for _, path := range paths {
		there, err := existing(path)
		if err != nil {
			return err
		}
		real, err := filepath.EvalSymlinks(there)
		if err != nil {
			return err
		}
		if real != root && !strings.HasPrefix(real, strings.TrimSuffix(root, "/")+"/") {
			return fmt.Errorf("%s leads out of the root %s to %s", there, root, real)
		}
	}
	return nil
}

// lock keeps a second Init out, by a lock on the directory that the store is in; it goes when the process ends.
func lock(ctx context.Context, dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { d.Close() }, nil
		}
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			d.Close()
			return nil, fmt.Errorf("cannot lock %s: %w", dir, err)
		}
		select {
		case <-ctx.Done():
			d.Close()
			return nil, fmt.Errorf("cannot lock %s, somebody else has: %w", dir, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (l Layout) key(w *work) error {
	switch key, err := os.ReadFile(l.Key()); {
	case err == nil:
		w.there("key", l.Key())
		return checkKey(key, l.Key())
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	key := make([]byte, keySize)
	rand.Read(key) // never fails
	if err := durable.WriteFile(l.Key(), key, 0o600); err != nil {
		return err
	}
	w.made("key", l.Key(), func() error { return os.Remove(l.Key()) })
	return nil
}

// parents makes the directories above the store that are missing.
func (w *work) parents(dir string) error {
	there, err := existing(dir)
	if err != nil || there == dir {
		return err
	}
	if err := w.parents(filepath.Dir(dir)); err != nil {
		return err
	}
	return w.directory(directory{dir, 0o755})
}

func (w *work) directory(d directory) error {
	err := os.Mkdir(d.path, 0o700)
	if errors.Is(err, fs.ErrExist) {
		info, err := os.Stat(d.path)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is not a directory; move it away", d.path)
		}
		if err == nil {
			w.there("directory", d.path)
		}
		return err
	}
	if err != nil {
		return err
	}
	w.made("directory", d.path, func() error { return os.Remove(d.path) })
	return os.Chmod(d.path, d.mode)
}
