package machine

import (
	"fmt"
	"os"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// nspawnReboots is systemd-nspawn's exit code when the machine asks to be started anew.
const nspawnReboots = 133

// Reboot shuts the machine down as `systemctl reboot` does, and boots its disk again.
func (m *Machine) Reboot() {
	m.t.Helper()
	m.Do("systemctl", "reboot")
	select {
	case <-m.boot.exited:
	case <-time.After(downPatience):
		m.t.Fatal("the machine does not shut down")
	}
	require.Equal(m.t, nspawnReboots, m.boot.cmd.ProcessState.ExitCode(), "the machine was to start anew: %v", m.boot.err)
	m.released()
	require.NoError(m.t, m.start())
}

// Cut pulls the plug, and boots what has reached the disk by then: what was not synced is lost.
func (m *Machine) Cut() {
	m.t.Helper()
	require.NoError(m.t, m.shrink(), "cannot cut the machine off its disk")
	m.kill()
	require.NoError(m.t, m.start())
}

// shrink makes the machine's disk end after its first sector. Every write from then on fails, also those that the kernel makes
// for what was killed, when it unmounts it. The writes before are in the image, in the order in which they were made.
func (m *Machine) shrink() error {
	device, err := os.Open(m.loop())
	if err != nil {
		return err
	}
	defer device.Close()
	info, err := unix.IoctlLoopGetStatus64(int(device.Fd()))
	if err != nil {
		return fmt.Errorf("%s: %w", device.Name(), err)
	}
	info.Sizelimit = 512
	if err := unix.IoctlLoopSetStatus64(int(device.Fd()), info); err != nil {
		return fmt.Errorf("%s: %w", device.Name(), err)
	}
	return nil
}
