package machine

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// endPatience is how long a session may take to end that has nothing left to do.
const endPatience = 30 * time.Second

// Session opens a session of logind for a user of the machine, as login(1) does, and returns its id. It stays open until end is called, the
// test ends, or logind is told to end it. When end returns, logind knows of it no more.
func (m *Machine) Session(user string) (id string, end func()) {
	m.t.Helper()
	return session(m.t, user, m.Cmd)
}

// Session is for a test that runs on the machine what the method is for one that does not.
func Session(t testing.TB, user string) (id string, end func()) {
	t.Helper()
	require.True(t, Inside(), "sessions are opened on test machines only")
	return session(t, user, func(ctx context.Context, argv ...string) *exec.Cmd {
		return exec.CommandContext(ctx, argv[0], argv[1:]...)
	})
}

// session has PAM open a session for a process that tells the session's id and stays until its standard input ends.
func session(t testing.TB, user string, command func(context.Context, ...string) *exec.Cmd) (string, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := command(ctx, "systemd-run", "--quiet", "--collect", "--wait", "--pipe", "--property=PAMName=login", "--property=User="+user,
		"--setenv=XDG_SESSION_CLASS=user", "--setenv=XDG_SESSION_TYPE=tty", "--", "sh", "-c", "echo session `printenv XDG_SESSION_ID`; cat") // without a dollar sign, as in unit
	var failure strings.Builder
	cmd.Stderr = &failure
	stays, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	id := ""
	end := sync.OnceFunc(func() {
		defer cancel()
		defer time.AfterFunc(endPatience, cancel).Stop()
		_ = stays.Close()
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait() // it may have been killed, as logind does it
		for id != "" && command(ctx, "loginctl", "show-session", id).Run() == nil {
			time.Sleep(10 * time.Millisecond)
		}
	})
	t.Cleanup(end)
	line, err := bufio.NewReader(out).ReadString('\n')
	var ok bool
	if id, ok = strings.CutPrefix(strings.TrimSpace(line), "session "); err != nil || !ok || id == "" {
		id = ""
		end()
		require.Fail(t, "cannot open a session", "for %s: %v: %s", user, err, fmt.Sprint(line, failure.String()))
	}
	return id, end
}
