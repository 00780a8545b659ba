package snapshot_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state/snapshot"
	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

func TestShort(t *testing.T) {
	single, dup, raid1 := snapshot.Pool{Copies: 1}, snapshot.Pool{Copies: 2}, snapshot.Pool{Copies: 2, Apart: true}
	has := func(p snapshot.Pool, total, used uint64) snapshot.Pool {
		p.Total, p.Used = total, used
		return p
	}
	for _, c := range []struct {
		what           string
		space          snapshot.Space
		data, metadata uint64
		wantD, wantM   uint64
	}{
		{"what is free is used", snapshot.Space{Data: has(single, 100, 40), Metadata: has(dup, 50, 20)}, 60, 30, 0, 0},
		{"each pool is full by itself", snapshot.Space{Data: has(single, 100, 100), Metadata: has(dup, 50, 50)}, 1, 2, 1, 2},
		{"the reserve is not for others", snapshot.Space{Data: has(single, 100, 0), Metadata: has(dup, 50, 20), Reserve: 25}, 0, 30, 0, 25},
		{"what no pool has comes to either, by copies", snapshot.Space{Data: has(single, 0, 0), Metadata: has(dup, 0, 0), Unallocated: []uint64{100}}, 40, 30, 0, 0},
		{"and once only", snapshot.Space{Data: has(single, 0, 0), Metadata: has(dup, 0, 0), Unallocated: []uint64{100}}, 41, 30, 1, 0},
		{"copies on one device do not need two", snapshot.Space{Metadata: has(dup, 0, 0), Unallocated: []uint64{100}}, 0, 51, 0, 1},
		{"copies on two do", snapshot.Space{Metadata: has(raid1, 0, 0), Unallocated: []uint64{100}}, 0, 1, 0, 1},
		{"what one device has beyond the others is of no use to them", snapshot.Space{Metadata: has(raid1, 0, 0), Unallocated: []uint64{100, 30, 20}}, 0, 51, 0, 1},
		{"but to others", snapshot.Space{Data: has(single, 0, 0), Metadata: has(raid1, 0, 0), Unallocated: []uint64{100, 30, 20}}, 50, 50, 0, 0},
		{"mixed pools share", snapshot.Space{Mixed: true, Data: has(single, 100, 40), Metadata: has(single, 100, 40), Reserve: 10}, 30, 30, 10, 0},
		{"more used than there is", snapshot.Space{Data: has(single, 10, 20), Metadata: has(single, 10, 20)}, 1, 1, 1, 1},
	} {
		t.Run(c.what, func(t *testing.T) {
			data, metadata := c.space.Short(c.data, c.metadata)
			assert.Equal(t, []uint64{c.wantD, c.wantM}, []uint64{data, metadata})
		})
	}
}

func TestSpaceOf(t *testing.T) {
	t.Run("tells what a file takes, of which pool", func(t *testing.T) {
		dir := snapshottest.Mount(t, 300)
		before, err := snapshot.SpaceOf(dir)
		require.NoError(t, err)
		assert.False(t, before.Mixed)
		assert.Positive(t, before.NodeSize)
		require.Len(t, before.Unallocated, 1)
		assert.InDelta(t, 300<<20, before.Data.Total+before.Metadata.Total*uint64(before.Metadata.Copies)+before.Unallocated[0], 32<<20)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), make([]byte, 20<<20), 0o600))
		require.NoError(t, snapshot.Sync(dir))
		after, err := snapshot.SpaceOf(dir)
		require.NoError(t, err)
		assert.EqualValues(t, 20<<20, after.Data.Used-before.Data.Used)
		assert.Less(t, after.Metadata.Used-before.Metadata.Used, uint64(1<<20))
	})
	t.Run("tells that pools are mixed", func(t *testing.T) {
		s, err := snapshot.SpaceOf(snapshottest.Mount(t, 64))
		require.NoError(t, err)
		assert.True(t, s.Mixed)
		assert.Equal(t, s.Data, s.Metadata)
	})
	t.Run("says that it is not btrfs", func(t *testing.T) {
		_, err := snapshot.SpaceOf("/proc")
		assert.ErrorContains(t, err, "cannot tell what room the file system of /proc has: ")
	})
}
