package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

// TestModelSame makes the same walk twice, on two hosts with one key: the plans and what they come to are the same bytes.
func TestModelSame(t *testing.T) {
	snapshottest.Need(t, "mkfs.btrfs", "mount", "umount")
	opdbus, err := program()
	require.NoError(t, err)
	setFlags(t, "rapid.seed", "7", "rapid.checks", "1", "rapid.steps", "25", "rapid.nofailfile", "true", "rapid.shrinktime", "0s")
	btrfs := snapshottest.Mount(t, 4096)
	walk := func() (said string) {
		rapid.Check(t, func(r *rapid.T) {
			h := newModelHost(r, t, opdbus, btrfs)
			key := filepath.Join(h.root, modelStore, "state/key")
			info, err := os.Stat(key)
			require.NoError(h, err)
			require.NoError(h, os.WriteFile(key, []byte(strings.Repeat("k", int(info.Size()))), 0o600))
			walkModel(h, false)
			said = h.said.String()
		})
		return said
	}
	first := walk()
	require.NotEmpty(t, first)
	assert.Equal(t, first, walk())
}
