package faulttest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A Replayer makes images of what a disk had when the power was cut at one point after the other. It goes through the log once:
// the points come in ascending order.
type Replayer struct {
	d      *Disk
	log    *os.File
	base   *os.File // what was on the disk for good by the last flush before the point
	path   string
	at     int // how many entries it has
	Blocks int // how many blocks Torn has lost so far
}

// blockSize is what a disk writes whole or not at all: what btrfs takes for granted of its superblock, and no more.
const blockSize = 4096

// Replayer begins at the log's beginning. The disk must be closed.
func (d *Disk) Replayer(t testing.TB) *Replayer {
	t.Helper()
	r := &Replayer{d: d, path: filepath.Join(t.TempDir(), "replayed")}
	d.Entries()
	run(t, "cp", "--sparse=always", "--reflink=auto", d.path(baseFile), r.path)
	var err error
	r.log, err = os.Open(d.path(logFile))
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.log.Close() })
	r.base, err = os.OpenFile(r.path, os.O_WRONLY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.base.Close() })
	return r
}

// At makes an image that has the first n entries: those of a disk that writes in the order in which it is told.
func (r *Replayer) At(t testing.TB, n int, image string) {
	t.Helper()
	require.NoError(t, r.image(t, n, image, func(e Entry, out *os.File) error { return e.apply(r.log, out) }))
}

// Torn makes an image that has the first n entries up to the last flush, and of each block written after it by chance this one
// and not that one: a disk may keep what is not flushed in its cache, and write it in any order.
func (r *Replayer) Torn(t testing.TB, n int, chance *rand.Rand, image string) {
	t.Helper()
	require.NoError(t, r.image(t, n, image, func(e Entry, out *os.File) error {
		for _, block := range e.blocks() {
			if chance.IntN(2) == 0 {
				r.Blocks++
				continue
			}
			if err := block.apply(r.log, out); err != nil {
				return err
			}
		}
		return nil
	}))
}

func (r *Replayer) image(t testing.TB, n int, image string, unflushed func(Entry, *os.File) error) error {
	t.Helper()
	require.LessOrEqual(t, n, len(r.d.entries))
	flushed := 0
	for i, e := range r.d.entries[:n] {
		if e.Flush {
			flushed = i + 1
		}
	}
	require.GreaterOrEqual(t, flushed, r.at, "the points come in ascending order")
	for ; r.at < flushed; r.at++ {
		if err := r.d.entries[r.at].apply(r.log, r.base); err != nil {
			return fmt.Errorf("cannot replay entry %d, %s: %w", r.at, r.d.entries[r.at], err)
		}
	}
	require.NoFileExists(t, image)
	run(t, "cp", "--sparse=always", "--reflink=auto", r.path, image)
	out, err := os.OpenFile(image, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer out.Close()
	for i, e := range r.d.entries[flushed:n] {
		if err := unflushed(e, out); err != nil {
			return fmt.Errorf("cannot replay entry %d, %s: %w", flushed+i, e, err)
		}
	}
	return out.Close()
}

// blocks are the parts of an entry that a disk may write each without the others.
func (e Entry) blocks() []Entry {
	if e.Discard {
		return []Entry{e}
	}
	var parts []Entry
	for done := int64(0); done < e.Length; {
		part := e
		part.Offset, part.data = e.Offset+done, e.data+done
		part.Length = min(e.Length-done, blockSize-part.Offset%blockSize)
		parts = append(parts, part)
		done += part.Length
	}
	return parts
}
