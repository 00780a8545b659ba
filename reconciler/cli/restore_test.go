package cli_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestRestore applies the staging guide stage by stage, and goes back to when a stage had not been there yet.
func TestRestore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 512)
	guide, err := filepath.Abs("../../examples/staging-guide")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(w.dir, "configs"), 0o755))
	// Things of somebody's, one of them where a stage's file may stand.
	w.sh(`mkdir -p "$ROOT/etc/op-dbus" && echo mine > "$ROOT/etc/op-dbus/state.json" && chmod 600 "$ROOT/etc/op-dbus/state.json"
		mkdir "$ROOT/srv" && echo mine > "$ROOT/srv/mine" && chown 7:8 "$ROOT/srv/mine"`)
	require.NoError(t, unix.Setxattr(filepath.Join(w.root, "srv/mine"), "user.mine", []byte("yes"), 0))
	w.must("init")
	host := func() string { return pastOf(scanHost(t, w.root)) }

	stages := []string{"stage-1-core-dbus", "stage-2-plugins", "stage-4-network-layer", "stage-3-openflow", "stage-4-mcp"}
	before := map[string]string{} // each stage
	for _, s := range stages {
		before[s] = host()
		w.must("apply", "--auto-approve", "--target", "stage."+s, guide)
	}
	all := host()
	require.Contains(t, w.must("plan", guide), "No changes.")
	pre := func(stage string) string {
		snapshots, err := filepath.Glob(filepath.Join(w.root, "var/lib/op-dbus/staging/snapshots/pre-"+stage+"-*"))
		require.NoError(t, err)
		require.Len(t, snapshots, 1)
		return filepath.Base(snapshots[0])
	}

	for _, s := range stages {
		t.Run("to before "+s+" gives back exactly the host as it was then", func(t *testing.T) {
			w.must("restore", "--auto-approve", pre(s))
			assert.Equal(t, before[s], host())
			assert.Contains(t, w.must("drift"), "No drift")
		})
		t.Run("to before "+s+" can be taken back itself", func(t *testing.T) {
			w.must("undo", "--auto-approve")
			assert.Equal(t, all, host())
			assert.Contains(t, w.must("plan", guide), "No changes.")
		})
	}
	t.Run("changes nothing as long as it is only shown", func(t *testing.T) {
		code, out := w.run("restore", pre(stages[1]))
		assert.Equal(t, 1, code)
		assert.Contains(t, out, "to snapshot "+pre(stages[1]))
		assert.Equal(t, all, host())
	})
	t.Run("leaves what is somebody's", func(t *testing.T) {
		w.must("rollback", "--all", "--auto-approve")
		assert.Equal(t, before[stages[0]], host())
		assert.Contains(t, host(), `/srv/mine 100644 7:8 "mine\n" user.mine="yes"`)
	})
}
