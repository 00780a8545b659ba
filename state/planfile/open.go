package planfile

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/opdbus/opdbus/state"
)

// The most that is read into memory of a member, whatever the file says of itself.
const (
	largest     = 256 << 20
	largestHead = 64 << 10
)

// A File is a saved plan that is open. Its errors name the file and say that it is damaged where it is.
type File struct {
	Head    Head
	path    string
	file    *os.File
	head    []byte // as it is in the file
	members map[string]*zip.File
	unsealer
}

// Open opens a file and reads its head. Nothing that it says is proved before it has been unsealed.
func Open(path string) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the plan: %w", err)
	}
	f := &File{path: path, file: file, members: map[string]*zip.File{}}
	if err := f.open(); err != nil {
		return nil, errors.Join(f.fail(err), file.Close())
	}
	return f, nil
}

func (f *File) fail(err error) error { return fmt.Errorf("cannot read the plan %s: %w", f.path, err) }

// Name is the file's.
func (f *File) Name() string { return f.path }

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

func (f *File) open() error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is no regular file")
	}
	z, err := zip.NewReader(f.file, info.Size())
	if err != nil {
		return fmt.Errorf("it is no plan that opdbus saved, or is damaged: %w", err)
	}
	contents := 0
	for _, m := range z.File {
		if strings.HasPrefix(m.Name, contentPrefix) {
			contents++
		}
		if f.members[m.Name] != nil {
			return fmt.Errorf("it is damaged: %s is there twice", printable(m.Name))
		}
		f.members[m.Name] = m
	}
	if f.members[headMember] == nil {
		return errors.New("it is no plan that opdbus saved: it has no " + headMember)
	}
	if f.head, err = f.read(headMember, largestHead); err != nil {
		return err
	}
	head, err := decodeHead(f.head)
	if err != nil {
		return err
	}
	f.Head = *head
	for _, name := range []string{planMember, shownMember, sealedMember} {
		if f.members[name] == nil {
			return fmt.Errorf("it is damaged: %s is missing", name)
		}
	}
	if others := len(f.members) - contents; others != 4 {
		return fmt.Errorf("it is damaged: it has %d members more than a plan", others-4)
	}
	return nil
}

// member opens a member as it is in the file.
func (f *File) member(name string) (io.ReadCloser, error) {
	m := f.members[name]
	if m == nil {
		return nil, fmt.Errorf("it is damaged: %s is missing", name)
	}
	in, err := m.Open()
	if err != nil {
		return nil, fmt.Errorf("it is damaged: %s: %w", name, err)
	}
	return in, nil
}

// read reads a member that is not sealed.
func (f *File) read(name string, limit int64) ([]byte, error) {
	in, err := f.member(name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("it is damaged: %s: %w", name, err)
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("%s is larger than %d KiB, which is more than is read", name, limit>>10)
	}
	return data, nil
}

// unsealMember writes what a sealed member holds. None of it is written before it is known to be genuine.
func (f *File) unsealMember(out io.Writer, key []byte, name string) error {
	in, err := f.member(name)
	if err != nil {
		return err
	}
	defer in.Close()
	aead, err := newCipher(key, f.head, name)
	if err != nil {
		return err
	}
	if err := f.unsealer.unseal(aead, out, in); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// proved reads a member of which the head has the digest.
func (f *File) proved(name, digest string) ([]byte, error) {
	data, err := f.read(name, largest)
	if err != nil {
		return nil, err
	}
	if digestOf(data) != digest {
		return nil, fmt.Errorf("%s: %w", name, errChanged)
	}
	return data, nil
}

// Document is the plan as plan --json printed it. Nothing in it can act on a terminal.
func (f *File) Document() ([]byte, error) {
	data, err := f.proved(planMember, f.Head.Plan)
	if err != nil {
		return nil, f.fail(err)
	}
	acts := func(r rune) bool { return r != '\n' && !strconv.IsPrint(r) }
	if !json.Valid(data) || bytes.ContainsFunc(data, acts) {
		return nil, f.fail(fmt.Errorf("%s is damaged: it is no JSON that opdbus wrote", planMember))
	}
	return data, nil
}

// Shown is what may be shown of the plan, with what is sensitive masked. It is not to be applied.
func (f *File) Shown(kinds state.Kinds) (*state.Plan, error) {
	data, err := f.proved(shownMember, f.Head.Shown)
	if err != nil {
		return nil, f.fail(err)
	}
	p, _, err := decode(data, toShow(kinds))
	if err != nil {
		return nil, f.fail(fmt.Errorf("%s is damaged: %w", shownMember, err))
	}
	// It cannot be computed from what is left of the plan.
	p.Stamp(f.Head.Digest)
	return p, nil
}
