package net

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/internal/machine"
	"github.com/opdbus/opdbus/state"
)

// A connection over one address of a link lives on while another is changed, also when that other one is the first of their network, with
// which the kernel would take the rest.
func TestOnMachineAddress(t *testing.T) {
	if !machine.Inside() {
		t.Skip("runs on a machine, see TestMachine")
	}
	for _, command := range []string{"netns add far", "link add near type veth peer name near1 netns far", "link set near up", "-n far link set near1 up",
		"addr add 10.9.0.9/24 dev near", "addr add 10.9.0.1/24 dev near", "-n far addr add 10.9.0.2/24 dev near1"} {
		ip(t, strings.Fields(command)...)
	}
	t.Cleanup(func() { withoutNamespace(t, "far", "near") })
	listener, err := net.Listen("tcp", "10.9.0.1:7777")
	require.NoError(t, err)
	defer listener.Close()
	peer := exec.Command("ip", "netns", "exec", "far", "bash", "-c", "exec 3<>/dev/tcp/10.9.0.1/7777; cat <&3 >&3")
	require.NoError(t, peer.Start())
	defer func() { _ = peer.Process.Kill(); _ = peer.Wait() }()
	conn, err := listener.Accept()
	require.NoError(t, err)
	defer conn.Close()
	heard := bufio.NewScanner(conn)
	says := func(text string) {
		t.Helper()
		require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
		_, err := fmt.Fprintln(conn, text)
		require.NoError(t, err)
		require.True(t, heard.Scan(), "%v", heard.Err())
		require.Equal(t, text, heard.Text())
	}
	says("before")
	first := Address{Name: "a", Link: "near", Address: "10.9.0.9/24"}
	for i, to := range []string{"10.9.0.8/24", "10.9.1.8/24", "10.9.0.7/24"} {
		other := Address{Name: "a", Link: "near", Address: to}
		require.NoError(t, kinds().For(addr("address", "a")).Apply(t.Context(), state.Site{}, []state.Change{{Addr: addr("address", "a"), Before: first, After: other}}))
		says(fmt.Sprint("change ", i))
		first = other
	}
}
