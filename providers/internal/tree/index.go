package tree

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// An Index knows the digests of files as they were when they were last read. It is a cache: a missing or damaged one
// costs time and nothing else. As in git's index, a file counts as unchanged while its size, times and inode number are
// the same; and one that changed so shortly before it was read that a later change could show the same times is not
// taken into the index at all.
type Index struct{ records []record }

type record struct {
	path, digest string
	size         int64
	mtime, ctime int64
	ino          uint64
}

// header begins an index. Records follow, each ended by a zero byte, and the checksum of it all.
const header = "opdbus-index 1\n"

// Load reads an index; nil when there is none that can be used.
func Load(file string) *Index {
	data, err := os.ReadFile(file)
	if err != nil || len(data) < len(header)+crcLength || !bytes.HasPrefix(data, []byte(header)) {
		return nil
	}
	body, sum := data[:len(data)-crcLength], data[len(data)-crcLength:]
	if checksum(body) != string(sum) {
		return nil
	}
	text := string(body[len(header):])
	x := &Index{records: make([]record, 0, strings.Count(text, "\x00"))}
	for len(text) > 0 {
		line, rest, ok := strings.Cut(text, "\x00")
		r, valid := parseRecord(line)
		if !ok || !valid {
			return nil
		}
		x.records, text = append(x.records, r), rest
	}
	return x
}

const crcLength = 8

func checksum(data []byte) string {
	return fmt.Sprintf("%08x", crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
}

// parseRecord reads SIZE MTIME CTIME INODE DIGEST PATH.
func parseRecord(line string) (r record, ok bool) {
	var numbers [4]int64
	for i := range numbers {
		field, rest, found := strings.Cut(line, " ")
		n, err := strconv.ParseInt(field, 10, 64)
		if !found || err != nil {
			return r, false
		}
		numbers[i], line = n, rest
	}
	digest, path, found := strings.Cut(line, " ")
	if !found {
		return r, false
	}
	return record{path, digest, numbers[0], numbers[1], numbers[2], uint64(numbers[3])}, true
}

// Digest is the digest of a file, when it has not changed since it was read.
func (x *Index) Digest(path string, st Stat) (string, bool) {
	c := x.cursor()
	d := c.digest(path, st)
	return d, d != ""
}

// Entries are the files that the index knows.
func (x *Index) Entries() []Entry {
	if x == nil {
		return nil
	}
	entries := make([]Entry, len(x.records))
	for i, r := range x.records {
		entries[i] = Entry{Path: r.path, Digest: r.digest, Known: math.MaxInt64,
			Stat: Stat{Mode: unix.S_IFREG, Size: r.size, Mtime: r.mtime, Ctime: r.ctime, Ino: r.ino}}
	}
	return entries
}

// A cursor looks paths up in an index. Asking in order costs a step a path.
type cursor struct {
	records []record
	next    int
}

func (x *Index) cursor() cursor {
	if x == nil {
		return cursor{}
	}
	return cursor{records: x.records}
}

func (c *cursor) digest(path string, st Stat) string {
	if c.next >= len(c.records) || c.records[c.next].path != path {
		c.next = sort.Search(len(c.records), func(i int) bool { return Compare(c.records[i].path, path) >= 0 })
		if c.next == len(c.records) || c.records[c.next].path != path {
			return ""
		}
	}
	r := &c.records[c.next]
	c.next++
	if r.size != st.Size || r.mtime != st.Mtime || r.ctime != st.Ctime || r.ino != st.Ino {
		return ""
	}
	return r.digest
}

// Save writes an index of the regular files among the entries, which are in the order of Compare. It is not brought to
// disk: it is a cache.
func Save(file string, entries []Entry) error {
	var b bytes.Buffer
	b.Grow(len(header) + len(entries)*192)
	b.WriteString(header)
	grain := Grain()
	for i := range entries {
		e := &entries[i]
		if !e.Stat.IsRegular() || e.Digest == "" || e.Racy(grain) {
			continue
		}
		line := b.AvailableBuffer()
		for _, n := range [...]int64{e.Stat.Size, e.Stat.Mtime, e.Stat.Ctime, int64(e.Stat.Ino)} {
			line = append(strconv.AppendInt(line, n, 10), ' ')
		}
		line = append(append(line, e.Digest...), ' ')
		b.Write(append(append(line, e.Path...), 0))
	}
	b.WriteString(checksum(b.Bytes()))
	temp := file + ".new"
	if err := os.WriteFile(temp, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("cannot write an index: %w", err)
	}
	if err := os.Rename(temp, file); err != nil {
		return fmt.Errorf("cannot write an index: %w", err)
	}
	return nil
}

// Drop removes an index.
func Drop(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove an index: %w", err)
	}
	return nil
}

// Grain is how far apart two changes of a file have to be, in nanoseconds, for their times to differ for certain: the
// kernel stamps files with a clock that moves once a tick.
func Grain() int64 {
	var tick unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_REALTIME_COARSE, &tick); err != nil || tick.Nano() <= 0 {
		return 20e6
	}
	return 2 * tick.Nano()
}

// Racy says that the file changed so shortly before its content was known that a later change could go unnoticed.
func (e *Entry) Racy(grain int64) bool { return e.Stat.Ctime+grain >= e.Known }
