// Package wgkey reads and writes the files in which WireGuard's keys are: base64 of 32 bytes and a newline, as wg(8) has them. It imports
// the standard library only.
package wgkey

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Size is that of every key of WireGuard's, in bytes.
const Size = 32

// A Key is a private or preshared key. It does not print itself: what it is, nobody is to read.
type Key struct{ bytes [Size]byte }

// Of is the key of these bytes.
func Of(b [Size]byte) Key { return Key{b} }

// Bytes are the key itself.
func (k Key) Bytes() [Size]byte { return k.bytes }

// IsZero says whether it is none: WireGuard has zeros stand for that.
func (k Key) IsZero() bool { return k == Key{} }

// String hides the key.
func (Key) String() string { return "(secret)" }

// GoString hides the key.
func (Key) GoString() string { return "wgkey.Key(secret)" }

// Public is the public key of a private one, as base64 (X25519, RFC 7748).
func (k Key) Public() (string, error) {
	private, err := ecdh.X25519().NewPrivateKey(k.bytes[:])
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(private.PublicKey().Bytes()), nil
}

// Parse reads a key as wg(8) writes it. The error does not say what it is.
func Parse(text []byte) (Key, error) {
	var k Key
	var into [Size + 4]byte
	text = bytes.TrimSpace(text)
	if len(text) != base64.StdEncoding.EncodedLen(Size) {
		return k, errors.New("it holds no key: one is 44 characters of base64")
	}
	n, err := base64.StdEncoding.Strict().Decode(into[:], text)
	if err != nil || n != Size {
		return k, errors.New("it holds no key: one is 32 bytes as base64")
	}
	copy(k.bytes[:], into[:])
	if k.IsZero() {
		return k, errors.New("it holds no key, but zeros, which stand for none")
	}
	return k, nil
}

// A MissingError says that there is no such file, and what makes one.
type MissingError struct{ File string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("there is no %s; opdbus wg genkey %s makes it", e.File, e.File)
}

// Unwrap is fs.ErrNotExist.
func (*MissingError) Unwrap() error { return fs.ErrNotExist }

// Read reads a key, unless others than the file's owner may read it too.
func Read(file string) (Key, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Key{}, &MissingError{file}
	}
	if err != nil {
		return Key{}, fmt.Errorf("cannot read the key in %s: %w", file, bare(err))
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return Key{}, fmt.Errorf("cannot read the key in %s: %w", file, bare(err))
	case !info.Mode().IsRegular():
		return Key{}, fmt.Errorf("cannot read the key in %s: it is no regular file", file)
	case info.Mode().Perm()&0o077 != 0:
		return Key{}, fmt.Errorf("the key in %s can be read or written by others (mode %04o): chmod 600 %s, and think of whether it is a secret still", file, info.Mode().Perm(), file)
	}
	text, err := io.ReadAll(io.LimitReader(f, 1<<10))
	if err != nil {
		return Key{}, fmt.Errorf("cannot read the key in %s: %w", file, bare(err))
	}
	k, err := Parse(text)
	if err != nil {
		return Key{}, fmt.Errorf("cannot use the key in %s: %w", file, err)
	}
	return k, nil
}

// New is a private key that nobody has.
func New() (Key, error) {
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, err
	}
	k := Of([Size]byte(private.Bytes()))
	k.bytes[0] &= 248 // as wg(8) and the kernel have private keys (RFC 7748, section 5)
	k.bytes[31] = k.bytes[31]&127 | 64
	return k, nil
}

// Write makes a file of a key that only its owner may read. One that is there stays, and is an error.
func Write(file string, k Key) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("there is a %s already, and a key that is lost cannot be made again: move it away first", file)
	}
	if err == nil {
		_, err = f.WriteString(base64.StdEncoding.EncodeToString(k.bytes[:]) + "\n")
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			err = errors.Join(err, os.Remove(file))
		}
	}
	if err == nil {
		err = syncDir(filepath.Dir(file))
	}
	if err != nil {
		return fmt.Errorf("cannot write the key to %s: %w", file, bare(err))
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// bare is an error without the path that the text around it has.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
