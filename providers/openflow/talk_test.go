package openflow

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/internal/machine"
)

// TestOnMachineServer says back what it hears on the ports 22 and 23, in a process of its own in a network namespace.
func TestOnMachineServer(t *testing.T) {
	if !machine.Inside() {
		t.Skip("runs on a machine, see TestMachine")
	}
	if os.Getenv("OPDBUS_TEST_SERVER") == "" {
		return
	}
	for _, port := range []string{":22", ":23"} {
		l, err := net.Listen("tcp", port)
		require.NoError(t, err)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() { _, _ = io.Copy(c, c) }()
			}
		}()
	}
	select {}
}

// connect opens a connection from a namespace.
func connect(t testing.TB, from, to string) error {
	t.Helper()
	host, port, _ := strings.Cut(to, ":")
	for range 20 { // the server may not listen yet
		out, err := exec.Command("ip", "netns", "exec", from, "timeout", "2", "bash", "-c", "exec 3<>/dev/tcp/"+host+"/"+port).CombinedOutput()
		if err == nil {
			return nil
		}
		if !strings.Contains(string(out), "refused") {
			return fmt.Errorf("%w: %s", err, out)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("refused")
}

// talk opens a connection that stays.
func talk(t testing.TB, from, to string) (say func(string) error, hear func() string) {
	t.Helper()
	require.NoError(t, connect(t, from, to))
	host, port, _ := strings.Cut(to, ":")
	cmd := exec.Command("ip", "netns", "exec", from, "bash", "-c", "exec 3<>/dev/tcp/"+host+"/"+port+"; cat <&3 & cat >&3")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = exec.Command("pkill", "-P", fmt.Sprint(cmd.Process.Pid)).Run() })
	lines := make(chan string)
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return func(text string) error { _, err := io.WriteString(in, text+"\n"); return err }, func() string {
		select {
		case l := <-lines:
			return l
		case <-time.After(10 * time.Second):
			return "nothing"
		}
	}
}

// send sends a packet by UDP between ports of two namespaces, to everybody.
func send(t testing.TB, from string, source int, to string, destination int) error {
	t.Helper()
	heard := t.TempDir() + "/heard"
	listener := exec.Command("ip", "netns", "exec", to, os.Args[0], "-test.run", "^TestOnMachineListener$")
	listener.Env = append(os.Environ(), fmt.Sprint("OPDBUS_TEST_LISTEN=", destination), "OPDBUS_TEST_HEARD="+heard)
	if err := listener.Start(); err != nil {
		return err
	}
	defer func() { _ = listener.Process.Kill(); _ = listener.Wait() }()
	for range 50 {
		sender := exec.Command("ip", "netns", "exec", from, os.Args[0], "-test.run", "^TestOnMachineSender$")
		sender.Env = append(os.Environ(), fmt.Sprint("OPDBUS_TEST_SEND=", source, " ", destination))
		if out, err := sender.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		time.Sleep(100 * time.Millisecond)
		if _, err := os.Stat(heard); err == nil {
			return nil
		}
	}
	return fmt.Errorf("nothing was heard")
}

// TestOnMachineListener hears one packet, in a process of its own in a network namespace.
func TestOnMachineListener(t *testing.T) {
	if !machine.Inside() {
		t.Skip("runs on a machine, see TestMachine")
	}
	port := os.Getenv("OPDBUS_TEST_LISTEN")
	if port == "" {
		return
	}
	c, err := net.ListenPacket("udp4", ":"+port)
	require.NoError(t, err)
	_, _, err = c.ReadFrom(make([]byte, 100))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(os.Getenv("OPDBUS_TEST_HEARD"), nil, 0o600))
}

// TestOnMachineSender sends one packet to everybody, in a process of its own in a network namespace.
func TestOnMachineSender(t *testing.T) {
	if !machine.Inside() {
		t.Skip("runs on a machine, see TestMachine")
	}
	var source, destination int
	if n, _ := fmt.Sscan(os.Getenv("OPDBUS_TEST_SEND"), &source, &destination); n != 2 {
		return
	}
	c, err := net.DialUDP("udp4", &net.UDPAddr{Port: source}, &net.UDPAddr{IP: net.IPv4(10, 0, 0, 255), Port: destination})
	require.NoError(t, err)
	_, err = c.Write([]byte("hello"))
	require.NoError(t, err)
}
