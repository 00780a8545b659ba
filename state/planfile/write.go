package planfile

import (
	"archive/zip"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/durable"
)

// Options say what a file holds besides the plan.
type Options struct {
	Opdbus          string // the version
	Store, Registry string // as seen from inside the root
	Key             []byte // the store's; without one nothing can be saved
	Document        []byte // the plan as plan --json prints it
	Created         time.Time
	Valid           time.Duration
}

// Write saves a plan. The file appears, or replaces the one that is there, when all of it is on disk; only its owner may
// read it. A content that is no longer what it was when the plan was made is an error.
func Write(path string, p *state.Plan, o Options) error {
	if len(o.Key) == 0 {
		return fmt.Errorf("cannot save the plan as %s: there is no store whose key could seal it; run opdbus init first", path)
	}
	// Renaming over a device, or over a link that somebody follows, would do more than to write a file.
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("cannot save the plan as %s: something is there that is no regular file; choose another name", path)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot save the plan: %w", err)
	}
	w, err := compose(p, o)
	if err != nil {
		return fmt.Errorf("cannot save the plan as %s: %w", path, err)
	}
	return durable.Write(path, 0o600, w.write)
}

// A writer is a file that is ready to be written, but for the contents.
type writer struct {
	key                       []byte
	head, plan, shown, sealed []byte
	sources                   []state.Source // what the content members hold, from the first

	sealer sealer
	buffer []byte
}

func compose(p *state.Plan, o Options) (*writer, error) {
	w := &writer{key: o.Key, plan: o.Document}
	numbers := map[string]int{}
	for _, n := range p.Nodes {
		for _, c := range n.Changes {
			s, ok := needs(c)
			if !ok || numbers[s.Digest] > 0 {
				continue
			}
			w.sources = append(w.sources, s)
			numbers[s.Digest] = len(w.sources)
		}
	}
	shown, err := public(p, o.Key)
	if err != nil {
		return nil, err
	}
	if w.shown, err = encode(shown, document{}, nil); err != nil {
		return nil, err
	}
	besides := document{Contents: len(w.sources)}
	if besides.Wanted, err = Wanted(p.Wanted); err != nil {
		return nil, err
	}
	if w.sealed, err = encode(p, besides, numbers); err != nil {
		return nil, err
	}
	for _, text := range [][]byte{w.plan, w.shown, w.sealed} {
		if len(text) > largest {
			return nil, fmt.Errorf("it takes %d MiB, and no more than %d MiB are read; plan a part of it, with --target", len(text)>>20, largest>>20)
		}
	}
	id := make([]byte, idSize)
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	head := Head{Format: format, ID: hex.EncodeToString(id), Created: o.Created.UTC(), Expires: o.Created.UTC().Add(o.Valid), Opdbus: o.Opdbus,
		Host: p.Host, Store: o.Store, Registry: o.Registry, Key: keyID(o.Key), Config: p.Config, Rollback: p.Rollback,
		Plan: digestOf(w.plan), Shown: digestOf(w.shown)}
	if head.Digest, err = p.Digest(o.Key); err != nil {
		return nil, err
	}
	w.head, err = json.MarshalIndent(head, "", "  ")
	return w, err
}

func (w *writer) write(out io.Writer) error {
	z := zip.NewWriter(out)
	for _, m := range []struct {
		name string
		data []byte
	}{{headMember, w.head}, {planMember, w.plan}, {shownMember, w.shown}} {
		member, err := z.CreateHeader(&zip.FileHeader{Name: m.name, Method: zip.Deflate})
		if err == nil {
			_, err = member.Write(m.data)
		}
		if err != nil {
			return err
		}
	}
	err := w.seal(z, sealedMember, func(out io.Writer) error {
		_, err := out.Write(w.sealed)
		return err
	})
	if err != nil {
		return err
	}
	for i, s := range w.sources {
		if err := w.seal(z, contentMember(i+1), func(out io.Writer) error { return w.copySource(out, s) }); err != nil {
			return err
		}
	}
	return z.Close()
}

// seal writes a sealed member. What is sealed cannot be compressed, and what is secret is not, as its length would tell of it.
func (w *writer) seal(z *zip.Writer, name string, write func(io.Writer) error) error {
	aead, err := newCipher(w.key, w.head, name)
	if err != nil {
		return err
	}
	member, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
	if err != nil {
		return err
	}
	w.sealer.begin(aead, member)
	if err := write(&w.sealer); err != nil {
		return err
	}
	return w.sealer.Close()
}

// copySource writes a content, and fails when it is not what it is said to be.
func (w *writer) copySource(out io.Writer, s state.Source) error {
	sum := sha256.New()
	out = io.MultiWriter(out, sum)
	if s.Path == "" {
		if _, err := io.Copy(out, strings.NewReader(s.Data)); err != nil {
			return err
		}
		return same(sum, s, "a content of the configuration")
	}
	f, err := os.OpenFile(s.Path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("%w; it was there when it was planned, make a new plan", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return err
	} else if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file any more; make a new plan", s.Path)
	}
	if w.buffer == nil {
		w.buffer = make([]byte, chunk)
	}
	if _, err := io.CopyBuffer(out, struct{ io.Reader }{f}, w.buffer); err != nil { // a file would have a buffer of its own each time
		return err
	}
	return same(sum, s, s.Path)
}

func same(sum hash.Hash, s state.Source, what string) error {
	if "sha256:"+hex.EncodeToString(sum.Sum(nil)) != s.Digest {
		return fmt.Errorf("%s changed since it was planned; make a new plan", what)
	}
	return nil
}
