package snapshot

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Info is what is known of a snapshot without reading the objects in its record.
type Info struct {
	Head
	Name string
	Path string // its subvolume
	// Problem says why the record cannot be read; the head is empty then.
	Problem string
}

// Record is where the snapshot's record is.
func (i Info) Record() string { return RecordPath(i.Path) }

// Compare orders snapshots by run, step and phase, never by time; those with a problem come last.
func (i Info) Compare(j Info) int {
	problem := func(i Info) int { return min(len(i.Problem), 1) }
	return cmp.Or(
		cmp.Compare(problem(i), problem(j)),
		cmp.Compare(i.Run, j.Run),
		cmp.Compare(i.Step, j.Step),
		cmp.Compare(i.Phase.order(), j.Phase.order()),
		i.Node.Compare(j.Node),
		strings.Compare(i.Subvolume, j.Subvolume),
		strings.Compare(i.Name, j.Name),
	)
}

// List lists the snapshots in a directory in order. One whose record cannot be read is among them, with its problem.
func List(snapshotsDir string) ([]Info, error) {
	entries, err := os.ReadDir(snapshotsDir)
	if err != nil {
		return nil, fmt.Errorf("cannot list snapshots: %w", err)
	}
	var infos []Info
	for _, e := range entries {
		if !e.IsDir() || Unfinished(e.Name()) {
			continue
		}
		info := Info{Name: e.Name(), Path: filepath.Join(snapshotsDir, e.Name())}
		if info.Head, err = readHead(info.Record()); err != nil {
			info.Head, info.Problem = Head{}, err.Error()
		}
		infos = append(infos, info)
	}
	slices.SortFunc(infos, Info.Compare)
	return infos, nil
}

// Size is how many bytes the files at path have, each counted once however many links it has. Snapshots share blocks, so
// deleting one frees less.
func Size(path string) (bytes int64, err error) {
	seen := map[uint64]bool{} // inodes with more links than one
	err = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink > 1 {
			if seen[st.Ino] {
				return nil
			}
			seen[st.Ino] = true
		}
		bytes += info.Size()
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("cannot tell the size of %s: %w", path, err)
	}
	return bytes, nil
}
