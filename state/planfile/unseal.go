package planfile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/opdbus/opdbus/state"
)

// A Sealed is a plan that was unsealed: it is as it was made, and by whom has the store's key.
type Sealed struct {
	Plan *state.Plan
	// Wanted is the digest of what the configuration came to that was planned, as the function Wanted computes it.
	Wanted string

	file     *File
	key      []byte
	dir      string
	contents int // how many there are
}

// Unseal opens the plan itself with the store's key. Its objects are made from files in dir, where Extract puts them.
func (f *File) Unseal(key []byte, kinds state.Kinds, dir string) (*Sealed, error) {
	s, err := f.unseal(key, kinds, dir)
	if err != nil {
		return nil, f.fail(err)
	}
	return s, nil
}

func (f *File) unseal(key []byte, kinds state.Kinds, dir string) (*Sealed, error) {
	// The head, which proves them, is proved by the key.
	for _, m := range []struct{ name, digest string }{{planMember, f.Head.Plan}, {shownMember, f.Head.Shown}} {
		if _, err := f.proved(m.name, m.digest); err != nil {
			return nil, err
		}
	}
	var text bytes.Buffer
	if err := f.unsealMember(&text, key, sealedMember); err != nil {
		return nil, err
	}
	p, d, err := decode(text.Bytes(), toApply(kinds))
	if err != nil {
		return nil, err
	}
	s := &Sealed{Plan: p, Wanted: d.Wanted, file: f, key: key, dir: dir, contents: d.Contents}
	for i, n := range d.Nodes {
		for j, c := range n.Changes {
			if c.Content == 0 {
				continue
			}
			after := &p.Nodes[i].Changes[j].After
			made, ok := (*after).(state.Sourced)
			if !ok || c.Content < 0 || c.Content > d.Contents {
				return nil, fmt.Errorf("%s cannot be made from a content of the plan", c.Addr)
			}
			*after = made.SourcedFrom(s.path(c.Content))
		}
	}
	digest, err := p.Digest(key)
	if err == nil && digest != f.Head.Digest {
		err = errors.New("it comes to another plan than the one that was saved; make a new plan")
	}
	return s, err
}

func (s *Sealed) path(n int) string { return filepath.Join(s.dir, strconv.Itoa(n)) }

// Extract makes the directory that Unseal was told, and puts into it what the plan's objects are made from. It is not synced:
// after a cut nobody asks for it, and it is to be removed.
func (s *Sealed) Extract() error {
	if s.contents == 0 {
		return nil
	}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return err
	}
	for i := range s.contents {
		if err := s.extract(i + 1); err != nil {
			return s.file.fail(err)
		}
	}
	return nil
}

func (s *Sealed) extract(n int) error {
	out, err := os.OpenFile(s.path(n), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = s.file.unsealMember(out, s.key, contentMember(n))
	return errors.Join(err, out.Close())
}
