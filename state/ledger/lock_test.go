package ledger

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain lets the test binary be the process that holds a lock until it is killed.
func TestMain(m *testing.M) {
	if path := os.Getenv("LEDGER_TEST_HOLD"); path != "" {
		if _, err := Take(context.Background(), path, "holder", 0, nil); err != nil {
			os.Exit(1)
		}
		_, _ = os.Stdout.WriteString("held\n")
		time.Sleep(time.Minute)
	}
	os.Exit(m.Run())
}

// hold starts a process that holds the lock.
func hold(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LEDGER_TEST_HOLD="+path)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	_, err = out.Read(make([]byte, 5))
	require.NoError(t, err)
	return cmd
}

func TestLock(t *testing.T) {
	ctx := context.Background()
	t.Run("a second taker is told who has it", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "lock")
		holder := hold(t, path)
		_, err := Take(ctx, path, "second", 0, nil)
		var locked *LockedError
		require.ErrorAs(t, err, &locked)
		assert.Equal(t, holder.Process.Pid, locked.Holder.PID)
		assert.Equal(t, "holder", locked.Holder.Command)
		assert.NotZero(t, locked.Holder.Start)
		assert.NotEmpty(t, locked.Holder.Boot)
	})
	t.Run("a killed holder is taken over from", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "lock")
		holder := hold(t, path)
		require.NoError(t, holder.Process.Kill())
		_ = holder.Wait()
		l, err := Take(ctx, path, "second", 0, nil)
		require.NoError(t, err)
		require.NotNil(t, l.Dead)
		assert.Equal(t, holder.Process.Pid, l.Dead.PID)
		require.NoError(t, l.Release())
	})
	t.Run("a waiting taker gets it when it is let go of", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "lock")
		first, err := Take(ctx, path, "first", 0, nil)
		require.NoError(t, err)
		var told Holder
		l, err := Take(ctx, path, "second", 10*time.Second, func(h Holder) {
			told = h
			assert.NoError(t, first.Release())
		})
		require.NoError(t, err)
		assert.Equal(t, "first", told.Command)
		assert.Nil(t, l.Dead, "it was let go of")
		require.NoError(t, l.Release())
	})
}
