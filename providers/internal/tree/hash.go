package tree

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"sync"

	"golang.org/x/sys/unix"
)

// Digest is the digest of a content: sha256:…
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return formatSum(sum[:])
}

func formatSum(sum []byte) string {
	buf := make([]byte, 0, len("sha256:")+2*sha256.Size)
	buf = append(buf, "sha256:"...)
	return string(hex.AppendEncode(buf, sum))
}

// A hasher is what computing a digest needs; they are used again.
type hasher struct {
	hash hash.Hash
	buf  []byte
}

var hashers = sync.Pool{New: func() any { return &hasher{sha256.New(), make([]byte, 64<<10)} }}

// Copy writes what is left to read in r to w, which may be nil, and computes its digest.
func Copy(w io.Writer, r io.Reader) (string, error) {
	h := hashers.Get().(*hasher)
	defer hashers.Put(h)
	h.hash.Reset()
	for {
		n, err := r.Read(h.buf)
		h.hash.Write(h.buf[:n])
		if w != nil && n > 0 {
			if _, err := w.Write(h.buf[:n]); err != nil {
				return "", err
			}
		}
		if err == io.EOF {
			return formatSum(h.hash.Sum(nil)), nil
		}
		if err != nil {
			return "", err
		}
	}
}

// Raw reads and writes a descriptor without what os.File adds, for where files are many and small.
type Raw int

func (f Raw) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(int(f), p)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (f Raw) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Write(int(f), p[done:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// hashAt computes the digest of a regular file below a directory. No link is followed on the way.
func hashAt(dir int, path string) (digest string, before, after Stat, err error) {
	fd, err := OpenBelow(dir, path, unix.O_RDONLY)
	if err != nil {
		return "", before, after, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", before, after, err
	}
	before = StatOf(&st)
	if !before.IsRegular() {
		return "", before, after, unix.EINVAL
	}
	if digest, err = Copy(nil, Raw(fd)); err != nil {
		return "", before, after, err
	}
	if err := unix.Fstat(fd, &st); err != nil {
		return "", before, after, err
	}
	return digest, before, StatOf(&st), nil
}

// OpenBelow opens a file below a directory, following no link on the way and waiting for nothing.
func OpenBelow(dir int, path string, flags uint64) (int, error) {
	if flags&unix.O_PATH == 0 {
		flags |= unix.O_NONBLOCK
	}
	return unix.Openat2(dir, path, &unix.OpenHow{
		Flags:   flags | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
}
