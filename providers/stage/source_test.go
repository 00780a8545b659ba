package stage

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/state"
)

func TestSource(t *testing.T) {
	text := "three"
	file := Payload{Path: "p", Type: typeFile, Mode: "0644", Size: 5, Digest: digest(text)}
	written, copied := file, file
	written.Content, copied.From = &text, "/src/p"

	t.Run("is where the content is to be had", func(t *testing.T) {
		assert.Equal(t, state.Source{Digest: file.Digest, Size: 5, Data: "three"}, written.Source())
		assert.Equal(t, state.Source{Digest: file.Digest, Size: 5, Path: "/src/p"}, copied.Source())
		assert.Zero(t, file.Source())
		assert.Zero(t, Payload{Path: "d", Type: typeDirectory, From: "/src/d"}.Source())
	})
	t.Run("an object made from another path is the same object, and is made from there", func(t *testing.T) {
		w := newWorld(t)
		from := filepath.Join(t.TempDir(), "content")
		providertest.Write(t, from, text)
		moved := written.SourcedFrom(from)
		assert.True(t, state.Same(written, moved))
		require.NoError(t, w.kind("payload").Apply(t.Context(), w.site, []state.Change{{Addr: w.addr("payload", "p"), After: moved}}))
		assert.FileExists(t, filepath.Join(w.site.Dir, "p"))
	})
}
