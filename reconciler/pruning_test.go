package reconciler

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/snapshot"
	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
	"github.com/opdbus/opdbus/state/store"
)

// withSnapshots is a store on btrfs with these snapshots, which have no record.
func withSnapshots(t *testing.T, names ...string) *Reconciler {
	host := state.Host{Store: filepath.Join(snapshottest.Mount(t, 64), "store"), Subvolumes: snapshot.Btrfs{}}
	r := &Reconciler{Host: host, Store: store.LayoutOf(host), Log: hclog.NewNullLogger()}
	require.NoError(t, os.MkdirAll(r.Store.Snapshots(), 0o700))
	require.NoError(t, os.MkdirAll(r.Store.State(), 0o700))
	for _, name := range names {
		require.NoError(t, host.Subvolumes.Create(r.snapshotPath(name)))
	}
	return r
}

func listed(t *testing.T, r *Reconciler) string {
	infos, err := r.Snapshots()
	require.NoError(t, err)
	var names []string
	for _, i := range infos {
		names = append(names, i.Name)
	}
	return strings.Join(names, " ")
}

func victims(names ...string) (infos []snapshot.Info) {
	for _, name := range names {
		infos = append(infos, snapshot.Info{Name: name})
	}
	return infos
}

func TestPruning(t *testing.T) {
	ctx := context.Background()
	t.Run("from its beginning on the snapshots are gone for everybody", func(t *testing.T) {
		r := withSnapshots(t, "a", "b", "c")
		p, err := r.Prune(ctx, victims("a", "c"))
		require.NoError(t, err)
		assert.Equal(t, "b", listed(t, r))
		assert.DirExists(t, r.snapshotPath("a"))
		np := &state.NodePlan{Back: &state.Back{Snapshot: "a"}}
		assert.ErrorContains(t, r.reachable(np), "its snapshot a is gone")
		np.Back.Snapshot = "b"
		assert.NoError(t, r.reachable(np))
		require.NoError(t, p.Finish())
		assert.Equal(t, "b", listed(t, r))
		assert.NoDirExists(t, r.snapshotPath("a"))
		assert.NoFileExists(t, r.Store.Pruning())
	})
	t.Run("a run waits for who is at it, so that a name that is taken again is not deleted", func(t *testing.T) {
		r := withSnapshots(t, "a", "b")
		p, err := r.Prune(ctx, victims("a"))
		require.NoError(t, err)
		waiting, stop := context.WithTimeout(ctx, 50*time.Millisecond)
		defer stop()
		_, err = r.FinishPruning(waiting)
		assert.ErrorIs(t, err, errStopped)
		cutOff, err := r.PruningCutOff()
		require.NoError(t, err)
		assert.False(t, cutOff)

		begun := make(chan error)
		go func() {
			_, err := r.FinishPruning(ctx)
			if err == nil {
				err = r.Host.Subvolumes.Create(r.snapshotPath("a"))
			}
			begun <- err
		}()
		require.NoError(t, p.Finish())
		require.NoError(t, <-begun)
		assert.Equal(t, "a b", listed(t, r))
	})
	t.Run("one that was cut off is finished, whatever is gone by then", func(t *testing.T) {
		r := withSnapshots(t, "a", "b")
		p, err := r.Prune(ctx, victims("a", "b", "never was"))
		require.NoError(t, err)
		require.NoError(t, r.Host.Subvolumes.Delete(r.snapshotPath("b")))
		require.NoError(t, p.file.Close()) // as the kernel does when its process is killed
		cutOff, err := r.PruningCutOff()
		require.NoError(t, err)
		assert.True(t, cutOff)
		deleted, err := r.FinishPruning(ctx)
		require.NoError(t, err)
		assert.Equal(t, 3, deleted)
		assert.NoDirExists(t, r.snapshotPath("a"))
		assert.NoFileExists(t, r.Store.Pruning())
	})
	t.Run("what cannot be deleted stays gone, and is tried again", func(t *testing.T) {
		r := withSnapshots(t, "a", "b", "c")
		inner := filepath.Join(r.snapshotPath("b"), "inner")
		require.NoError(t, r.Host.Subvolumes.Create(inner))
		p, err := r.Prune(ctx, victims("a", "b", "c"))
		require.NoError(t, err)
		var left *UndeletedError
		require.ErrorAs(t, p.Finish(), &left)
		assert.ErrorContains(t, left, "it holds other subvolumes")
		assert.Empty(t, listed(t, r))
		names, err := r.deleting()
		require.NoError(t, err)
		assert.Equal(t, []string{"b"}, names)
		_, err = r.FinishPruning(ctx)
		require.ErrorAs(t, err, &left)
		require.NoError(t, r.Host.Subvolumes.Delete(inner))
		_, err = r.FinishPruning(ctx)
		require.NoError(t, err)
		assert.NoDirExists(t, r.snapshotPath("b"))
	})
}

func FuzzDecodePruning(f *testing.F) {
	f.Add([]byte(`{"version":1,"snapshots":["pre-a-20260101-000000"]}`))
	f.Add([]byte(`{"version":1,"snapshots":["../../etc"]}`))
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, data []byte) {
		names, err := DecodePruning(data)
		if err != nil {
			return
		}
		for _, name := range names {
			assert.Equal(t, "/s", filepath.Dir(filepath.Join("/s", name)), "%q is in the directory of the snapshots", name)
			assert.NotEqual(t, "/s", filepath.Join("/s", name))
		}
	})
}
