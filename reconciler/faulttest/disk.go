package faulttest

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

// A Disk is a file system on an image that logs what is written to it, in order, with the flushes: the image is
// served by qemu-storage-daemon as a FUSE file, whose blklogwrites driver writes the log, and mounted by a loop device. All of it
// goes away when the test ends, however it does: a process of its own, the keeper, sees to that.
type Disk struct {
	t       testing.TB
	dir     string
	kind    string // of file system
	keeper  *exec.Cmd
	stdin   io.WriteCloser
	stdout  *bufio.Reader
	stderr  *strings.Builder
	mounted bool
	images  int
	marks   map[string]int
	entries []Entry // nil until it is closed
}

// NewDisk makes a disk of some MiB, at least 16, with btrfs. Below 256 MiB that is one with mixed block groups.
func NewDisk(t testing.TB, mib int) *Disk {
	t.Helper()
	args := []string{"--quiet"}
	if mib < 256 {
		args = append(args, "--mixed")
	}
	return newDisk(t, mib, "btrfs", args...)
}

// NewDiskOfHost makes a disk of some MiB with ext4, as most hosts have.
func NewDiskOfHost(t testing.TB, mib int) *Disk {
	t.Helper()
	// All that mkfs could leave to the kernel to write later would be logged.
	return newDisk(t, mib, "ext4", "-q", "-J", "size=8", "-E", "lazy_itable_init=0,lazy_journal_init=0")
}

func newDisk(t testing.TB, mib int, kind string, args ...string) *Disk {
	t.Helper()
	reexecuted(t)
	snapshottest.Need(t, "mkfs."+kind, "mount", "umount", "qemu-storage-daemon")
	for _, device := range []string{"/dev/fuse", "/dev/loop-control"} {
		if _, err := os.Stat(device); err != nil {
			missing(t, "needs "+device)
		}
	}
	dir, err := filepath.EvalSymlinks(t.TempDir()) // as mountinfo has it
	require.NoError(t, err)
	d := &Disk{t: t, dir: dir, kind: kind, stderr: &strings.Builder{}, marks: map[string]int{}}
	require.NoError(t, os.WriteFile(d.path(baseFile), nil, 0o600))
	require.NoError(t, os.Truncate(d.path(baseFile), int64(mib)<<20))
	run(t, "mkfs."+kind, append(args, d.path(baseFile))...)
	run(t, "cp", "--sparse=always", "--reflink=auto", d.path(baseFile), d.path(diskFile))
	for _, empty := range []string{logFile, exportFile} {
		require.NoError(t, os.WriteFile(d.path(empty), nil, 0o600))
	}
	d.start()
	return d
}

func (d *Disk) start() {
	t := d.t
	t.Helper()
	role, err := environment(roleKeeper, keeper{Dir: d.dir})
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	d.keeper = exec.Command(self)
	d.keeper.Env = append(d.keeper.Environ(), role)
	d.keeper.Stderr = d.stderr
	d.keeper.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal is not for it
	d.stdin, err = d.keeper.StdinPipe()
	require.NoError(t, err)
	stdout, err := d.keeper.StdoutPipe()
	require.NoError(t, err)
	d.stdout = bufio.NewReader(stdout)
	require.NoError(t, d.keeper.Start())
	t.Cleanup(func() {
		_ = d.stdin.Close()
		require.NoError(t, d.keeper.Wait(), "cannot clear the disk away: %s", d.stderr)
	})
	if !d.told(sayReady) {
		_ = d.stdin.Close()
		_ = d.keeper.Wait()
		missing(t, "cannot serve a disk: "+d.stderr.String())
	}
}

// told waits for a word of the keeper's.
func (d *Disk) told(word string) bool {
	line, _ := d.stdout.ReadString('\n')
	return line == word
}

// Mount mounts the disk, until it is unmounted or closed.
func (d *Disk) Mount() (dir string) {
	d.t.Helper()
	require.False(d.t, d.mounted, "the disk is mounted already")
	dir = d.path("mounted")
	require.NoError(d.t, os.MkdirAll(dir, 0o755))
	run(d.t, "mount", "-t", d.kind, "-o", "loop", d.path(exportFile), dir)
	d.mounted = true
	return dir
}

// Unmount unmounts the disk, which writes what was not yet written.
func (d *Disk) Unmount() {
	d.t.Helper()
	var err error
	for try := range 20 {
		flags := 0
		if try == 19 {
			// An image that is mounted on it is held by another mount namespace, and is let go of when that ends.
			flags = unix.MNT_DETACH
			run(d.t, "sync", "-f", d.path("mounted"))
		}
		if err = unix.Unmount(d.path("mounted"), flags); err != unix.EBUSY {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	require.NoError(d.t, err, "cannot unmount the disk")
	d.mounted = false
}

// Mark gives a name to this place in the log: after all that the disk has done by now.
func (d *Disk) Mark(name string) {
	d.t.Helper()
	log, err := os.Open(d.path(logFile))
	require.NoError(d.t, err)
	defer log.Close()
	// The daemon keeps the superblock up to date with each entry. Before the first there is none.
	var super logSuper
	if err := binary.Read(log, binary.LittleEndian, &super); err != io.EOF {
		require.NoError(d.t, err)
	}
	d.marks[name] = int(super.Entries)
}

// Marked is the number of entries that were logged when the name was given.
func (d *Disk) Marked(name string) int {
	d.t.Helper()
	n, ok := d.marks[name]
	require.True(d.t, ok, "nothing is marked %s", name)
	return n
}

// Close unmounts the disk, if it is mounted, and ends the log, which can be read from then on.
func (d *Disk) Close() {
	d.t.Helper()
	if d.mounted {
		d.Unmount()
	}
	_, err := io.WriteString(d.stdin, askClose)
	require.NoError(d.t, err)
	require.True(d.t, d.told(sayClosed), "cannot close the disk: %s", d.stderr)
	log, err := os.Open(d.path(logFile))
	require.NoError(d.t, err)
	defer log.Close()
	d.entries, err = readLog(log)
	require.NoError(d.t, err)
	require.NotEmpty(d.t, d.entries, "nothing was written")
}

// Entries are what was written, in order. The disk must be closed.
func (d *Disk) Entries() []Entry {
	d.t.Helper()
	require.NotNil(d.t, d.entries, "the disk is not closed")
	return d.entries
}

// Flushes are the numbers of entries that end with a flush: after a power cut, a disk has at least all up to the last.
func (d *Disk) Flushes() []int {
	d.t.Helper()
	var after []int
	for i, e := range d.Entries() {
		if e.Flush {
			after = append(after, i+1)
		}
	}
	return after
}

// Replay makes an image, at a path where nothing is, that has the first n entries.
func (d *Disk) Replay(t testing.TB, n int, image string) {
	t.Helper()
	require.LessOrEqual(t, n, len(d.Entries()))
	require.NoFileExists(t, image)
	run(t, "cp", "--sparse=always", "--reflink=auto", d.path(baseFile), image)
	log, err := os.Open(d.path(logFile))
	require.NoError(t, err)
	defer log.Close()
	out, err := os.OpenFile(image, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer out.Close()
	for i, e := range d.entries[:n] {
		require.NoError(t, e.apply(log, out), "cannot replay entry %d, %s", i, e)
	}
	require.NoError(t, out.Close())
}

// MountImage mounts an image that was replayed until the test ends or Unmount of snapshottest does it. The disk is closed by
// then: the file systems are the same one to kernels before Linux 6.7, so that these mount one image at a time.
func (d *Disk) MountImage(t testing.TB, image string) (dir string) {
	t.Helper()
	d.images++
	dir = d.path("image-" + strconv.Itoa(d.images))
	require.NoError(t, os.Mkdir(dir, 0o755))
	run(t, "mount", "-t", d.kind, "-o", "loop", image, dir)
	t.Cleanup(func() {
		if below, err := mountsBelow(dir); err == nil && len(below) > 0 {
			snapshottest.Unmount(t, dir)
		}
	})
	return dir
}

func (d *Disk) path(name string) string { return filepath.Join(d.dir, name) }

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s: %s", fmt.Sprint(name, args), out)
}
