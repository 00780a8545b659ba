package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state/durable"
)

const (
	mib = 1 << 20
	gib = 1 << 30

	largestImage  = 64 * gib
	smallestImage = 256 * mib

	// With discard, blocks that are freed in the image are freed below it, so that it stays sparse.
	mountOptions = "loop,noatime,discard=async"
)

// filesystem sees to it that the store's directory, which exists, is on btrfs, and says whether that is in the image.
func (l Layout) filesystem(ctx context.Context, w *work, opts Options) (inImage bool, err error) {
	fsys, err := filesystemOf(l.Dir())
	if err != nil {
		return false, err
	}
	unmounted, err := l.unmounted()
	if err != nil {
		return false, err
	}
	if !unmounted && fsys.btrfs {
		mounted, err := mountedAt(l.Dir())
		if err != nil || !backs(l.Image(), mounted) {
			return false, err
		}
		w.there("image", l.Image())
		w.there("mount", l.Dir())
		return true, nil
	}
	if !unmounted && opts.NoImage {
		return false, fmt.Errorf("it is not on btrfs but on %s, and an image is not wanted; mount a btrfs file system there, or leave out --no-image", fsys.name)
	}
	if err := l.mountable(); err != nil {
		return false, err
	}
	if unmounted {
		w.there("image", l.Image())
	} else if err := l.makeImage(ctx, w, opts.ImageSize); err != nil {
		return false, err
	}
	return true, l.mount(w)
}

// unmounted says whether there is an image that is to be mounted. A store that is on btrfs without it does not need it.
func (l Layout) unmounted() (bool, error) {
	if _, err := os.Lstat(l.Image()); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	mounted, err := mountedAt(l.Dir())
	if err != nil || mounted != "" {
		return false, err
	}
	_, err = os.Lstat(l.Staging())
	return errors.Is(err, fs.ErrNotExist), nil
}

// mountable refuses to mount over a directory that holds something, or whose path systemd would not mount at.
func (l Layout) mountable() error {
	entries, err := os.ReadDir(l.Dir())
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("it is not on btrfs and holds %s, which mounting the image %s there would hide; move it elsewhere", entries[0].Name(), l.Image())
	}
	root, err := filepath.EvalSymlinks(l.host.Path("/"))
	if err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(l.Dir())
	if err != nil {
		return err
	}
	if real != filepath.Join(root, l.inside) {
		return fmt.Errorf("a link leads to it, where systemd does not mount; it is at %s", real)
	}
	return nil
}

// makeImage makes the image under another name first, so that what has the image's name is always a whole one.
func (l Layout) makeImage(ctx context.Context, w *work, size int64) (err error) {
	if _, err := os.Lstat(l.Image()); err == nil {
		return fmt.Errorf("the image %s is there, and so is another file system mounted at %s; unmount one or move the other away", l.Image(), l.Dir())
	}
	mkfs, err := program("mkfs.btrfs", "btrfs-progs")
	if err != nil {
		return err
	}
	if size == 0 {
		if size, err = defaultImageSize(filepath.Dir(l.Image())); err != nil {
			return err
		}
	}
	temp := l.Image() + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) { // left over from a power cut
		return err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(temp))
		}
	}()
	if err := f.Truncate(size); err != nil {
		return fmt.Errorf("cannot make an image of %d MiB: %w", size/mib, err)
	}
	if err := run(exec.CommandContext(ctx, mkfs, "--quiet", "--label", "op-dbus", temp)); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("cannot sync %s: %w", temp, err)
	}
	if err := os.Rename(temp, l.Image()); err != nil {
		return err
	}
	temp = l.Image()
	if err := durable.SyncDir(filepath.Dir(temp)); err != nil {
		return err
	}
	w.made("image", l.Image(), func() error { return os.Remove(l.Image()) })
	return nil
}

// defaultImageSize leaves half of what is free to others. A sparse image larger than the space for it would not be full
// but broken when that ends.
func defaultImageSize(dir string) (int64, error) {
	fsys, err := filesystemOf(dir)
	if err != nil {
		return 0, err
	}
	size := int64(min(fsys.free/2, largestImage)) / mib * mib
	if size < smallestImage {
		return 0, fmt.Errorf("%s has %d MiB free, and an image needs twice %d MiB; free some space", dir, fsys.free/mib, smallestImage/mib)
	}
	return size, nil
}

func (l Layout) mount(w *work) error {
	if err := holdsBtrfs(l.Image()); err != nil {
		return err
	}
	mount, err := program("mount", "mount")
	if err != nil {
		return err
	}
	if err := run(exec.Command(mount, "-t", "btrfs", "-o", mountOptions, l.Image(), l.Dir())); err != nil {
		return err
	}
	w.made("mount", l.Dir(), func() error {
		if err := unix.Unmount(l.Dir(), 0); err != nil {
			return fmt.Errorf("cannot unmount %s: %w", l.Dir(), err)
		}
		return nil
	})
	return nil
}

// holdsBtrfs looks for the magic number in the first superblock (btrfs-on-disk: at 64 KiB, 64 bytes in).
func holdsBtrfs(image string) error {
	f, err := os.Open(image)
	if err != nil {
		return err
	}
	defer f.Close()
	magic := []byte("_BHRfS_M")
	found := make([]byte, len(magic))
	if _, err := f.ReadAt(found, 64<<10+64); err != nil || !bytes.Equal(found, magic) {
		return fmt.Errorf("%s is in the way, which holds no btrfs file system; move it away", image)
	}
	return nil
}

// program finds a program, in the administrator's directories too, which are not in everybody's PATH.
func program(name, pkg string) (string, error) {
	for _, try := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
		if path, err := exec.LookPath(try); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is missing; run `apt install %s`", name, pkg)
}

func run(cmd *exec.Cmd) error {
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		said := strings.Join(strings.Fields(string(out)), " ")
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, said)
	}
	return nil
}
