package systemd_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/providers/systemd"
	"github.com/opdbus/opdbus/state"
)

// cutAfter is the system bus through a connection that ends before the call after n of them, and for good.
func cutAfter(t *testing.T, n int) (bus *sysbus.Bus, cut func() bool) {
	t.Helper()
	address := filepath.Join(t.TempDir(), "bus")
	listener, err := net.Listen("unix", address)
	require.NoError(t, err)
	done := make(chan bool, 1)
	go func() {
		client, err := listener.Accept()
		listener.Close()
		if err != nil {
			done <- false
			return
		}
		server, err := net.Dial("unix", "/run/dbus/system_bus_socket")
		if err != nil {
			done <- false
			return
		}
		go func() {
			_, _ = io.Copy(client, server)
			client.Close()
		}()
		done <- forward(server, bufio.NewReader(client), n)
		server.Close()
		client.Close()
	}()
	bus = sysbus.New("unix:path=" + address)
	return bus, func() bool {
		_ = bus.Close()
		listener.Close()
		return <-done
	}
}

// forward passes on what a client says until it has said Hello and n messages more; true when there was another.
func forward(to io.Writer, from *bufio.Reader, n int) bool {
	for line := ""; line != "BEGIN\r\n"; {
		var err error
		if line, err = from.ReadString('\n'); err != nil {
			return false
		}
		if _, err := io.WriteString(to, line); err != nil {
			return false
		}
	}
	for i := 0; ; i++ {
		header := make([]byte, 16) // little-endian, as all that godbus sends on this machine
		if _, err := io.ReadFull(from, header); err != nil {
			return false
		}
		if i > n {
			return true
		}
		fields := (int64(binary.LittleEndian.Uint32(header[12:])) + 7) &^ 7
		if _, err := to.Write(header); err != nil {
			return false
		}
		if _, err := io.CopyN(to, from, fields+int64(binary.LittleEndian.Uint32(header[4:]))); err != nil {
			return false
		}
	}
}

// TestOnMachineCut cuts the connection before each call that a change makes, takes the change back, and finds all as it was.
func TestOnMachineCut(t *testing.T) {
	w := newWorld(t)
	packaged(t, map[string]string{"k-on.service": runs, "k-off.service": runs, "k-masked.service": runs})
	sh(t, "systemctl enable --now k-on.service; systemctl mask k-masked.service")
	t.Cleanup(func() { sh(t, "systemctl unmask k-masked.service") })
	world := func() string {
		var lines []string
		for _, unit := range []string{"k-on.service", "k-off.service", "k-masked.service", "k-new.service", "k.timer"} {
			lines = append(lines, unit+" "+show(t, unit, "LoadState", "ActiveState", "UnitFileState", "NeedDaemonReload"))
		}
		return strings.Join(lines, "\n") + "\n" + providertest.World(t, systemD, "/run/systemd/system.control")
	}
	require.NoError(t, os.MkdirAll("/run/systemd/system.control", 0o755))
	before := world()
	for _, wants := range [][]state.Object{
		{
			systemd.Unit{Name: "k-on.service", Enabled: ptr(false), Active: ptr(false)},
			systemd.Unit{Name: "k-off.service", Enabled: ptr(true), Active: ptr(true), Properties: map[string]string{"CPUWeight": "50"}},
			systemd.Unit{Name: "k-masked.service", Masked: ptr(false), Active: ptr(true)},
			systemd.Unit{Name: "k-new.service", Content: ptr(runs), Enabled: ptr(true), Active: ptr(true)},
		},
		{systemd.Timer{Name: "k", OnCalendar: "daily", Command: []string{"/bin/true"}}},
		{systemd.DropIn{Name: "k-on.service/k.conf", Content: "[Service]\nNice=5\n", Parents: []string{systemD + "/k-on.service.d"}}},
	} {
		var changes, inverse []state.Change
		for _, want := range wants {
			changes = append(changes, w.change(want))
		}
		for i := len(changes) - 1; i >= 0; i-- {
			inverse = append(inverse, changes[i].Inverse())
		}
		n := 0
		for ; ; n++ {
			bus, cut := cutAfter(t, n)
			kinds := systemd.Kinds(state.Host{Store: "/var/lib/op-dbus"}, bus)
			err := kinds.For(changes[0].Addr).Apply(w.context(), state.Site{Node: changes[0].Addr.Node, Run: 1}, changes)
			was := cut()
			require.NoError(t, w.apply(inverse...), "after %d calls", n)
			require.Equal(t, before, world(), "after %d calls", n)
			if !was {
				require.NoError(t, err)
				break
			}
		}
		assert.Greater(t, n, 0)
		t.Logf("%s: %d calls", fmt.Sprintf("%T", wants[0]), n)

		// As far as it came, it also goes on.
		bus, cut := cutAfter(t, n/2)
		kinds := systemd.Kinds(state.Host{Store: "/var/lib/op-dbus"}, bus)
		assert.Error(t, kinds.For(changes[0].Addr).Apply(w.context(), state.Site{Node: changes[0].Addr.Node, Run: 1}, changes))
		cut()
		require.NoError(t, w.apply(changes...))
		for _, c := range changes {
			assert.True(t, state.Same(w.live(c.After), c.After), "%+v", w.live(c.After))
		}
		require.NoError(t, w.apply(inverse...))
		require.Equal(t, before, world())
	}
}
