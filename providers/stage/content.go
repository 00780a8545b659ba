package stage

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/providers/internal/tree"
	"github.com/opdbus/opdbus/state"
)

// savedDir is where, in a node's tree, content is put aside that nothing else holds.
const savedDir = ".opdbus/saved"

func savedName(digest string) string { return strings.TrimPrefix(digest, "sha256:") }

// sources are the files that may hold the content of a path of the stage: the node's tree, earlier ones, and what was put
// aside in them.
func sources(site state.Site, path, digest string) []string {
	trees := append([]string{site.Dir}, site.Earlier...)
	var found []string
	for _, t := range trees {
		found = append(found, filepath.Join(t, path))
	}
	for _, t := range trees {
		found = append(found, filepath.Join(t, savedDir, savedName(digest)))
	}
	return found
}

// errOther says that a file has another content than the one that is looked for.
var errOther = errors.New("its content is another one")

// fill writes the content with a digest into an empty file, from the first of the files that has it. The content is
// verified on the way.
func fill(fd int, digest string, from []string) error {
	var tried []error
	for _, f := range from {
		err := copyFrom(fd, digest, f)
		if err == nil {
			return nil
		}
		if !errors.Is(err, errOther) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
			return fmt.Errorf("cannot copy %s: %w", f, err)
		}
		tried = append(tried, err)
		if err := restart(fd); err != nil {
			return fmt.Errorf("cannot copy %s: %w", f, err)
		}
	}
	if len(tried) > 0 && errors.Is(tried[0], errOther) {
		return fmt.Errorf("%s changed since it was planned; make a new plan", from[0])
	}
	return fmt.Errorf("the content %s is in none of %s", digest, strings.Join(from, ", "))
}

func restart(fd int) error {
	if err := unix.Ftruncate(fd, 0); err != nil {
		return err
	}
	_, err := unix.Seek(fd, 0, 0)
	return err
}

// cloneFrom is the size from which sharing extents costs less than copying the bytes.
const cloneFrom = 128 << 10

// copyFrom writes a file's content into an empty file, sharing extents where it can, and verifies its digest.
func copyFrom(fd int, digest, from string) error {
	src, err := unix.Open(from, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == unix.ELOOP {
		return errOther
	}
	if err != nil {
		return err
	}
	defer unix.Close(src)
	var st unix.Stat_t
	if err := unix.Fstat(src, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return errOther
	}
	return copyOpen(fd, src, digest)
}

// copyOpen is copyFrom with an open file.
func copyOpen(fd, src int, digest string) error {
	var st unix.Stat_t
	err := unix.Fstat(src, &st)
	if err != nil {
		return err
	}
	var copied string
	if st.Size >= cloneFrom && unix.IoctlFileClone(fd, src) == nil {
		copied, err = digestOf(fd)
	} else {
		copied, err = tree.Copy(tree.Raw(fd), tree.Raw(src))
	}
	if err == nil && copied != digest {
		return errOther
	}
	return err
}

// digestOf computes the digest of what was written to a file that is open for reading and writing.
func digestOf(fd int) (string, error) {
	if _, err := unix.Seek(fd, 0, 0); err != nil {
		return "", err
	}
	return tree.Copy(nil, tree.Raw(fd))
}
