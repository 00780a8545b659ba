package planfile

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
)

// chunk is how much is sealed at once. Content may be larger than memory, and nothing of it is used before it is known to
// be genuine.
const chunk = 64 << 10

// newCipher makes the cipher of one member. Its key is derived from the store's, the digest of the head, in which the plan's
// random id is, and the member's name. So each key is used for one text only, and a head that was changed, or a member
// that was exchanged for another, opens with none.
func newCipher(key, head []byte, member string) (cipher.AEAD, error) {
	salt := sha256.Sum256(head)
	derived, err := hkdf.Key(sha256.New, key, salt[:], "opdbus saved plan: "+member, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// nonce is that of a chunk: its number, and whether it is the last, so that chunks can be neither dropped nor reordered.
// Source: Hoang, Reyhanitabar, Rogaway and Vizár, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", the
// construction STREAM.
func nonce(n uint64, last bool) []byte {
	b := make([]byte, 12)
	binary.BigEndian.PutUint64(b[3:], n)
	if last {
		b[11] = 1
	}
	return b
}

// overhead is how much longer a chunk is when it is sealed.
const overhead = 16

// A sealer seals what is written to it, for one member after the other. Close writes a member's last chunk.
type sealer struct {
	aead  cipher.AEAD
	out   io.Writer
	chunk []byte
	n     uint64
}

// begin begins a member.
func (s *sealer) begin(aead cipher.AEAD, out io.Writer) {
	if s.chunk == nil {
		s.chunk = make([]byte, 0, chunk+overhead)
	}
	s.aead, s.out, s.chunk, s.n = aead, out, s.chunk[:0], 0
}

func (s *sealer) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		if len(s.chunk) == chunk {
			if err := s.seal(false); err != nil {
				return 0, err
			}
		}
		n := min(len(p), chunk-len(s.chunk))
		s.chunk, p = append(s.chunk, p[:n]...), p[n:]
	}
	return written, nil
}

func (s *sealer) Close() error { return s.seal(true) }

func (s *sealer) seal(last bool) error {
	_, err := s.out.Write(s.aead.Seal(s.chunk[:0], nonce(s.n, last), s.chunk, nil))
	s.chunk = s.chunk[:0]
	s.n++
	return err
}

// errChanged says that something was not sealed as it is, with the key that it is opened with.
var errChanged = errors.New("it is damaged, or was changed after it was made")

// An unsealer opens what was sealed, one member after the other.
type unsealer struct {
	in *bufio.Reader
	b  []byte
}

// unseal writes what was sealed to out.
func (u *unsealer) unseal(aead cipher.AEAD, out io.Writer, from io.Reader) error {
	if u.in == nil {
		u.in, u.b = bufio.NewReaderSize(from, chunk), make([]byte, chunk+overhead)
	}
	u.in.Reset(from)
	b := u.b
	for n := uint64(0); ; n++ {
		read, err := io.ReadFull(u.in, b)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			return err
		}
		_, err = u.in.Peek(1)
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return err
		}
		text, err := aead.Open(b[:0], nonce(n, last), b[:read], nil)
		if err != nil {
			return errChanged
		}
		if _, err := out.Write(text); err != nil {
			return err
		}
		if last {
			return nil
		}
	}
}
