package cli_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
	for _, of := range []struct {
		what string
		run  []string
		step int // of the points
	}{{"a restore", base.restore(), 2}, {"a run with a set", []string{"apply", "--auto-approve", "v2"}, 8}} {
		t.Run(of.what+" is killed", func(t *testing.T) {
			base := base.again(t)
			killEach(t, base, every(t, of.step), of.run, func(w *world, _, after string) {
				w.must(of.run...)
				assert.Equal(w, hostOf(after), hostOf(w.state()))
			})
		})
		t.Run(of.what+" fails", func(t *testing.T) {
			m := newMatrix(t, base.again(t), 0, of.run...)
			m.fail(t, every(t, max(of.step, 2)))
			m.report(t, "each call of "+of.what+" fails")
		})
	}
}

// again is the world as it was, mounted where a fork of it has unmounted it.
func (w *world) again(t *testing.T) *world {
	t.Helper()
	if !w.mounted {
		w.mount("image")
	}
	return w
}
