package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/store"
)

func find(t *testing.T, host state.Host) *store.Store {
	t.Helper()
	s, err := store.Find(host)
	require.NoError(t, err)
	return s
}

// faults are those of a store as PROBLEM by the base of their path.
func faults(t *testing.T, s *store.Store) map[string]string {
	t.Helper()
	all, err := s.Faults()
	require.NoError(t, err)
	problems := map[string]string{}
	for _, f := range all {
		assert.NotEmpty(t, f.Remedy, f.Path)
		problems[filepath.Base(f.Path)] = f.Problem
	}
	return problems
}

func TestFaults(t *testing.T) {
	s := find(t, initialised(t, onBtrfs(t)))
	assert.Empty(t, faults(t, s), "a store that was just made has none")

	require.NoError(t, os.Chmod(s.State(), 0o755))
	require.NoError(t, os.Chmod(s.Staging(), 0o700))
	require.NoError(t, os.Chown(s.Key(), 1000, -1))
	require.NoError(t, os.WriteFile(s.Key(), []byte("short"), 0o600))
	require.NoError(t, os.Remove(s.JournalDir()))
	require.NoError(t, os.WriteFile(s.JournalDir(), nil, 0o600))
	require.NoError(t, os.Remove(s.Images()))
	all, err := s.Faults()
	require.NoError(t, err)
	assert.Len(t, all, 5)
	for _, f := range all {
		if f.Mend != nil {
			require.NoError(t, f.Mend())
		}
	}
	assert.Equal(t, map[string]string{"images": "is missing", "journal": "is a file", "key": "has 5 bytes instead of 32"}, faults(t, s),
		"what is open to others than root was made root's; what is missing is init's")
}

func TestUnits(t *testing.T) {
	host := initialised(t, onBtrfs(t))
	s := find(t, host)
	units := func() store.Unit {
		t.Helper()
		all, err := s.Units()
		require.NoError(t, err)
		require.Len(t, all, 1, "a store without an image has no mount")
		return all[0]
	}
	unit := units()
	assert.Equal(t, "opdbus-recover.service", unit.Name)
	assert.True(t, unit.Installed)
	assert.True(t, unit.Enabled)
	assert.NotEmpty(t, unit.Program)
	assert.False(t, unit.Runs, "there is none in the root")
	require.NoError(t, os.MkdirAll(filepath.Dir(host.Path(unit.Program)), 0o755))
	require.NoError(t, os.WriteFile(host.Path(unit.Program), nil, 0o755))
	assert.True(t, units().Runs)

	dir := host.Path("/etc/systemd/system")
	require.NoError(t, os.Remove(filepath.Join(dir, "multi-user.target.wants", unit.Name)))
	assert.False(t, units().Enabled)
	require.NoError(t, os.Remove(filepath.Join(dir, unit.Name)))
	assert.False(t, units().Installed)
}
