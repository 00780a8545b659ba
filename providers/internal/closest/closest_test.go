package closest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTo(t *testing.T) {
	t.Run("finds what somebody may have meant, and nothing far off", func(t *testing.T) {
		words := []string{"symlink", "copy", "directory"}
		assert.Equal(t, "symlink", To("symlnk", words))
		assert.Equal(t, "copy", To("cpoy", words))
		assert.Empty(t, To("banana", words))
		assert.Empty(t, Hint("banana", words))
		assert.Equal(t, ` Did you mean "directory"?`, Hint("directry", words))
	})
}
