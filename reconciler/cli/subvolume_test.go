package cli_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/reconciler/faulttest"
)

const withSubvolumes = `
opdbus {
  snapshots { subvolumes = ["/srv/data", "/srv/web"] }
}
stage "app" {
  file "conf" {
    target  = "/etc/app.conf"
    content = "`

// withSet is a world with two further subvolumes, which were snapshotted with a run and changed since.
func withSet(t *testing.T) *world {
	w := newWorld(t, 256)
	w.sh(`mkdir "$ROOT/srv" && btrfs -q subvolume create "$ROOT/srv/data" && btrfs -q subvolume create "$ROOT/srv/web" && btrfs -q subvolume create "$ROOT/srv/data/empty"; btrfs -q subvolume create "$ROOT/srv/data/inner"
		echo inner > "$ROOT/srv/data/inner/file"
		echo one > "$ROOT/srv/data/file"; chown 7:8 "$ROOT/srv/data"`)
	w.config("v1", "main.hcl", withSubvolumes+"1\"\n  }\n}\n")
	w.config("v2", "main.hcl", withSubvolumes+"2\"\n  }\n}\n")
	w.must("init")
	w.must("apply", "--auto-approve", "v1")
	w.sh(`echo two > "$ROOT/srv/data/file"; chmod 700 "$ROOT/srv/data"; echo more > "$ROOT/srv/data/more"`)
	return w
}

func (w *world) restore() []string {
	w.Helper()
	first, err := filepath.Glob(filepath.Join(w.root, "var/lib/op-dbus/staging/snapshots/pre-subvolume-srv-data-*"))
	require.NoError(w, err)
	require.Len(w, first, 1)
	return []string{"restore", "--auto-approve", "--subvolume", filepath.Base(first[0])}
}

// TestSubvolume breaks the restoring of a subvolume, and a run that snapshots some, at each call that changes something: by a kill, and by
// an error. Either is as before or as after, and the store has whole sets only.
func TestSubvolume(t *testing.T) {
	t.Parallel()
	base := withSet(t)
	restore := base.restore()
	again := func() { // each part begins with the base as it was
		if !base.mounted {
			base.mount("image")
		}
	}
	t.Run("a restore is killed", func(t *testing.T) {
		killEach(t, base, stride(t), restore, func(w *world, _, after string) {
			w.must(restore...)
			assert.Equal(w, hostOf(after), hostOf(w.state()))
		})
	})
	again()
	t.Run("a restore fails", func(t *testing.T) {
		m := newMatrix(t, base, 0, restore...)
		for i := 0; i < len(m.calls); i += every(t, 2) {
			for _, errno := range errnos(m.calls[i]) {
				m.run(t, i+1, unix.ErrnoName(errno), faulttest.Options{FailAt: i + 1, Errno: errno})
			}
		}
		m.report(t, "each call of a restore fails")
	})
	again()
	apply := []string{"apply", "--auto-approve", "v2"}
	t.Run("a run with a set is killed", func(t *testing.T) {
		killEach(t, base, every(t, 4), apply, func(w *world, _, after string) {
			w.must(apply...)
			assert.Equal(w, hostOf(after), hostOf(w.state()))
		})
	})
	again()
	t.Run("a run with a set fails", func(t *testing.T) {
		m := newMatrix(t, base, 0, apply...)
		for i := 0; i < len(m.calls); i += every(t, 4) {
			for _, errno := range errnos(m.calls[i]) {
				m.run(t, i+1, unix.ErrnoName(errno), faulttest.Options{FailAt: i + 1, Errno: errno})
			}
		}
		m.report(t, "each call of a run with a set fails")
	})
}
