package ledger

import (
	"context"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGone(t *testing.T) {
	// holder is the lock's, written by a process that has the number and the start time of cmd's.
	holder := func(t *testing.T, cmd *exec.Cmd) Holder {
		lock, err := Take(t.Context(), filepath.Join(t.TempDir(), "lock"), "test", 0, nil)
		require.NoError(t, err)
		h, ok := readHolder(lock.file)
		require.True(t, ok)
		require.NoError(t, lock.Release())
		if cmd != nil {
			h.PID = cmd.Process.Pid
			h.Start, err = startTimeOf(strconv.Itoa(h.PID))
			require.NoError(t, err)
		}
		return h
	}

	t.Run("waits until the process has ended, also while nobody has waited for it", func(t *testing.T) {
		cmd := exec.Command("sleep", "60")
		require.NoError(t, cmd.Start())
		h := holder(t, cmd)
		ended := make(chan error, 1)
		go func() { ended <- h.Gone(t.Context()) }()
		select {
		case err := <-ended:
			require.Fail(t, "it has not ended", err)
		case <-time.After(100 * time.Millisecond):
		}
		require.NoError(t, cmd.Process.Kill())
		select {
		case err := <-ended:
			assert.NoError(t, err)
		case <-time.After(10 * time.Second):
			assert.Fail(t, "it is still waited for")
		}
		assert.Error(t, cmd.Wait(), "it was killed")
	})

	t.Run("one that is another by now is gone", func(t *testing.T) {
		h := holder(t, nil)
		h.Start++
		assert.NoError(t, h.Gone(t.Context()))
		h.PID = 1<<22 + 1 // more than there can be
		assert.NoError(t, h.Gone(t.Context()))
	})

	t.Run("the context ends the wait", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		assert.ErrorIs(t, holder(t, nil).Gone(ctx), context.DeadlineExceeded)
	})
}
