package faulttest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// aLog has a write of a sector of 'a', a write of two of 'b' with FUA, a discard, and a flush.
func aLog(t testing.TB) []byte {
	var b bytes.Buffer
	sector := func(v any, fill string) {
		var one bytes.Buffer
		if v != nil {
			require.NoError(t, binary.Write(&one, binary.LittleEndian, v))
		}
		b.Write(one.Bytes())
		b.Write(bytes.Repeat([]byte(fill), 512-one.Len()))
	}
	sector(logSuper{logMagic, logVersion, 4, 512}, "\x00")
	sector(logEntry{Sector: 1, Sectors: 1}, "\x00")
	sector(nil, "a")
	sector(logEntry{Sector: 2, Sectors: 2, Flags: flagFUA}, "\x00")
	sector(nil, "b")
	sector(nil, "b")
	sector(logEntry{Sector: 0, Sectors: 8, Flags: flagDiscard}, "\x00")
	sector(logEntry{Flags: flagFlush}, "\x00")
	return b.Bytes()
}

func TestReadLog(t *testing.T) {
	log := aLog(t)

	t.Run("finds the entries", func(t *testing.T) {
		entries, err := readLog(bytes.NewReader(log))
		require.NoError(t, err)
		assert.Equal(t, "[write 512+512 write 1024+1024 flush discard 0+4096 flush]", fmt.Sprint(entries))
	})

	t.Run("an entry does to an image what it did to the disk", func(t *testing.T) {
		entries, err := readLog(bytes.NewReader(log))
		require.NoError(t, err)
		image, err := os.Create(filepath.Join(t.TempDir(), "image"))
		require.NoError(t, err)
		defer image.Close()
		_, err = image.Write(bytes.Repeat([]byte("-"), 8192))
		require.NoError(t, err)
		content := func() string {
			b, err := os.ReadFile(image.Name())
			require.NoError(t, err)
			s := ""
			for i := 0; i < len(b); i += 512 {
				s += string(bytes.TrimLeft(b[i:i+1], "\x00")) + "."
			}
			return s
		}
		var seen []string
		for _, e := range entries {
			require.NoError(t, e.apply(bytes.NewReader(log), image))
			seen = append(seen, content())
		}
		assert.Equal(t, []string{
			"-.a.-.-.-.-.-.-.-.-.-.-.-.-.-.-.",
			"-.a.b.b.-.-.-.-.-.-.-.-.-.-.-.-.",
			"........-.-.-.-.-.-.-.-.",
			"........-.-.-.-.-.-.-.-.",
		}, seen)
	})

	t.Run("one that is cut off or damaged is an error", func(t *testing.T) {
		for _, size := range []int{0, 20, 512, 530, 2*512 + 5, 3 * 512} {
			_, err := readLog(bytes.NewReader(log[:size]))
			assert.ErrorContains(t, err, "cannot read ", size)
		}
		_, err := readLog(bytes.NewReader(make([]byte, 512)))
		assert.EqualError(t, err, "this is no log of version 1 of writes")
		damaged := bytes.Clone(log)
		damaged[512+15] = 0xff
		_, err = readLog(bytes.NewReader(damaged))
		assert.ErrorContains(t, err, "entry 0 of the log is damaged")
	})
}

func FuzzReadLog(f *testing.F) {
	f.Add(aLog(f))
	f.Fuzz(func(t *testing.T, log []byte) {
		entries, err := readLog(bytes.NewReader(log))
		if err != nil {
			return
		}
		for _, e := range entries {
			assert.GreaterOrEqual(t, e.Offset, int64(0))
			assert.GreaterOrEqual(t, e.Length, int64(0))
			if !e.Discard && e.Length > 0 {
				assert.LessOrEqual(t, e.data+e.Length, int64(len(log)))
			}
		}
	})
}
