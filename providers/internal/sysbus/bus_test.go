package sysbus_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/state"
)

// daemon is a bus of the test's own.
func daemon(t *testing.T) (address string, process *exec.Cmd) {
	t.Helper()
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		t.Fatalf("needs dbus-daemon: %v", err)
	}
	data := t.TempDir()
	require.NoError(t, os.MkdirAll(data+"/dbus-1/services", 0o755))
	require.NoError(t, os.WriteFile(data+"/dbus-1/services/"+startable+".service", []byte("[D-BUS Service]\nName="+startable+"\nExec=/bin/false\n"), 0o600))
	cmd := exec.Command("dbus-daemon", "--session", "--nofork", "--print-address=1", "--address=unix:dir="+t.TempDir())
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+data)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGCONT)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line), cmd
}

const (
	service = "org.example.Test"
	path    = dbus.ObjectPath("/org/example/Test")
)

const (
	busService = "org.freedesktop.DBus"
	startable  = "org.example.Startable" // it is not running, and the bus knows what to start
)

// tester is a service: it answers, refuses, and hangs.
type tester struct{ hang chan struct{} }

func (tester) Echo(s string) (string, *dbus.Error) { return s, nil }
func (tester) Refuse() *dbus.Error {
	return dbus.NewError("org.freedesktop.DBus.Error.AccessDenied", []any{"Permission denied"})
}
func (s tester) Hang() *dbus.Error { <-s.hang; return nil }

func (tester) Variants() (map[string]dbus.Variant, string, *dbus.Error) {
	pairs := []struct {
		A int32
		B string
	}{{1, "one"}}
	return map[string]dbus.Variant{"pairs": dbus.MakeVariant(pairs)}, "x", nil
}

func serve(t *testing.T, address string) *dbus.Conn {
	t.Helper()
	conn, err := dbus.Connect(address)
	require.NoError(t, err)
	s := tester{make(chan struct{})}
	require.NoError(t, conn.Export(s, path, service))
	_, err = conn.RequestName(service, dbus.NameFlagDoNotQueue)
	require.NoError(t, err)
	t.Cleanup(func() { close(s.hang); _ = conn.Close() })
	return conn
}

func TestBus(t *testing.T) {
	address, process := daemon(t)
	conn := serve(t, address)
	bus := sysbus.New(address)
	defer bus.Close()
	call := func(method string, args ...any) sysbus.Call {
		return sysbus.Call{Service: service, Path: path, Method: service + "." + method, Args: args}
	}

	t.Run("calls and answers", func(t *testing.T) {
		var answer string
		require.NoError(t, bus.Call(t.Context(), call("Echo", "x"), &answer))
		assert.Equal(t, "x", answer)
		owner, err := bus.Owner(t.Context(), service)
		require.NoError(t, err)
		assert.Equal(t, conn.Names()[0], owner)
		owner, err = bus.Owner(t.Context(), "org.example.Nobody")
		require.NoError(t, err)
		assert.Empty(t, owner)
		node, err := bus.Introspect(t.Context(), busService, "/")
		require.NoError(t, err)
		assert.NotEmpty(t, node.Interfaces)
	})

	t.Run("what variants hold is of the type that was sent", func(t *testing.T) {
		var all map[string]dbus.Variant
		var rest string
		require.NoError(t, bus.Call(t.Context(), call("Variants"), &all, &rest))
		assert.Equal(t, "a(is) x", all["pairs"].Signature().String()+" "+rest)
		require.ErrorContains(t, bus.Call(t.Context(), call("Variants"), &all), "something else than it should")
	})

	t.Run("what was refused is said to be", func(t *testing.T) {
		err := bus.Call(t.Context(), call("Refuse"))
		var e *sysbus.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, sysbus.AccessDenied, e.Name)
		assert.Equal(t, "org.example.Test does not allow Refuse: Permission denied; polkit or the bus's policy refuses it to this user", err.Error())
		err = bus.Call(t.Context(), call("Nothing"))
		require.ErrorAs(t, err, &e)
		assert.True(t, e.Absent(), "%v", err)
		err = bus.Call(t.Context(), sysbus.Call{Service: "org.example.Nobody", Path: "/", Method: "a.b.C"})
		require.ErrorContains(t, err, "nobody offers org.example.Nobody on the bus")
		require.ErrorContains(t, bus.Call(t.Context(), call("Echo", "x"), new(int)), "answered Echo with something else than it should")
	})

	t.Run("a service that does not run is not started where that is not wanted", func(t *testing.T) {
		for _, c := range []state.NotRunningError{{Service: startable, Startable: true}, {Service: "org.example.Nobody"}} {
			var stopped *state.NotRunningError
			require.ErrorAs(t, bus.Call(state.WithoutStarting(t.Context()), sysbus.Call{Service: c.Service, Path: "/", Method: "a.b.C"}), &stopped)
			assert.Equal(t, c, *stopped)
		}
		require.NoError(t, bus.Call(state.WithoutStarting(t.Context()), call("Echo", "x"), new(string)), "one that runs is asked")
		err := bus.Call(t.Context(), sysbus.Call{Service: startable, Path: "/", Method: "a.b.C"})
		var e *sysbus.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, "org.freedesktop.DBus.Error.Spawn.ChildExited", e.Name, "else it is started, and this one fails to")
	})

	t.Run("a service that hangs is an error that names it", func(t *testing.T) {
		c := call("Hang")
		c.Timeout = 50 * time.Millisecond
		err := bus.Call(t.Context(), c)
		assert.EqualError(t, err, "org.example.Test did not answer Hang within 50ms; the service may hang")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, bus.Call(ctx, c), context.Canceled)
		var answer string
		require.NoError(t, bus.Call(t.Context(), call("Echo", "still there"), &answer), "the connection is as good as before")
	})

	t.Run("signals come in order, and one that is not read keeps nothing from coming", func(t *testing.T) {
		unread, err := bus.Subscribe(t.Context(), sysbus.Match{Interface: service})
		require.NoError(t, err)
		defer unread.Close()
		read, err := bus.Subscribe(t.Context(), sysbus.Match{Sender: service, Path: path, Interface: service, Member: "Count"})
		require.NoError(t, err)
		const n = 5000
		for i := range int32(n) {
			require.NoError(t, conn.Emit(path, service+".Count", i))
			require.NoError(t, conn.Emit(path, service+".Other", i))
		}
		var answer string
		require.NoError(t, bus.Call(t.Context(), call("Echo", "x"), &answer))
		for i := range int32(n) {
			s := <-read.C
			require.Equal(t, i, s.Body[0])
		}
		read.Close()
		_, open := <-read.C
		assert.False(t, open)
		assert.NoError(t, read.Err())
	})

	t.Run("owners are heard to change", func(t *testing.T) {
		sub, err := bus.Subscribe(t.Context(), sysbus.Match{Sender: busService, Member: "NameOwnerChanged", Arg0: "org.example.Second"})
		require.NoError(t, err)
		defer sub.Close()
		_, err = conn.RequestName("org.example.Third", 0)
		require.NoError(t, err)
		_, err = conn.RequestName("org.example.Second", 0)
		require.NoError(t, err)
		s := <-sub.C
		assert.Equal(t, []any{"org.example.Second", "", conn.Names()[0]}, s.Body)
	})

	t.Run("a bus that hangs is an error, also for who comes to it anew", func(t *testing.T) {
		require.NoError(t, process.Process.Signal(syscall.SIGSTOP))
		defer func() { require.NoError(t, process.Process.Signal(syscall.SIGCONT)) }()
		late := sysbus.New(address)
		defer late.Close()
		began := time.Now()
		_, err := late.Names(t.Context())
		require.ErrorContains(t, err, "the bus does not answer")
		assert.Less(t, time.Since(began), 20*time.Second)
	})

	t.Run("a bus that dies is an error, and the next one is connected to", func(t *testing.T) {
		sub, err := bus.Subscribe(t.Context(), sysbus.Match{Interface: service})
		require.NoError(t, err)
		failed := make(chan error, 1)
		go func() { failed <- bus.Call(t.Context(), call("Hang")) }()
		time.Sleep(50 * time.Millisecond)
		require.NoError(t, process.Process.Kill())
		err = <-failed
		var e *sysbus.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, sysbus.Disconnected, e.Name)
		assert.ErrorContains(t, err, "the bus has gone")
		for range sub.C { //nolint:revive // until it is closed
		}
		require.Error(t, sub.Err())
		_, err = bus.Names(t.Context())
		require.ErrorContains(t, err, "cannot connect to the bus at "+address)
		assert.False(t, errors.Is(err, context.DeadlineExceeded))
	})
}
