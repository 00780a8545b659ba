package planfile

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSeal(t *testing.T) {
	head := []byte("head")
	seal := func(t *testing.T, text []byte, by int) []byte {
		aead, err := newCipher(key(), head, "m")
		require.NoError(t, err)
		var out bytes.Buffer
		s := &sealer{}
		s.begin(aead, &out)
		for part := range slices.Chunk(text, by) {
			n, err := s.Write(part)
			require.NoError(t, err)
			require.Equal(t, len(part), n)
		}
		require.NoError(t, s.Close())
		return out.Bytes()
	}
	open := func(sealed, key, head []byte, member string) ([]byte, error) {
		aead, err := newCipher(key, head, member)
		require.NoError(t, err)
		var out bytes.Buffer
		err = new(unsealer).unseal(aead, &out, bytes.NewReader(sealed))
		return out.Bytes(), err
	}
	text := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i / 7)
		}
		return b
	}
	t.Run("gives back what was sealed, of any length", func(t *testing.T) {
		for _, n := range []int{0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 2*chunk + 5} {
			for _, by := range []int{1000, 3 * chunk} {
				again, err := open(seal(t, text(n), by), key(), head, "m")
				require.NoError(t, err)
				require.True(t, bytes.Equal(text(n), again), "%d bytes", n)
			}
		}
	})
	const sealedChunk = chunk + 16
	whole := seal(t, text(2*chunk+5), chunk)
	swapped := slices.Concat(whole[sealedChunk:2*sealedChunk], whole[:sealedChunk], whole[2*sealedChunk:])
	flipped := slices.Clone(whole)
	flipped[sealedChunk+3] ^= 1
	for what, c := range map[string]struct {
		sealed, key, head []byte
		member            string
	}{
		"whose last chunk is missing": {whole[:2*sealedChunk], key(), head, "m"},
		"that is cut off":             {whole[:sealedChunk+9], key(), head, "m"},
		"of which nothing is left":    {nil, key(), head, "m"},
		"with more behind it":         {append(slices.Clone(whole), 0), key(), head, "m"},
		"with chunks exchanged":       {swapped, key(), head, "m"},
		"with a bit turned":           {flipped, key(), head, "m"},
		"under another key":           {whole, text(32), head, "m"},
		"under another head":          {whole, key(), []byte("haed"), "m"},
		"under another name":          {whole, key(), head, "n"},
	} {
		t.Run("does not open a text "+what, func(t *testing.T) {
			out, err := open(c.sealed, c.key, c.head, c.member)
			assert.ErrorIs(t, err, errChanged)
			assert.True(t, bytes.HasPrefix(text(2*chunk+5), out), "what is given out is genuine")
		})
	}
}
