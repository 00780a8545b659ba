package ovsdb_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/internal/machine"
	"github.com/opdbus/opdbus/providers/internal/ovsdb"
)

// What speaks to ovsdb-server runs on a machine, which has it and the schema.
func TestMachine(t *testing.T) { machine.RunTests(t, machine.New(t), "^TestOnMachine") }

// A server is an ovsdb-server of the test's own, with the schema of a switch and nobody who does what is configured.
type server struct {
	t   *testing.T
	dir string
	cmd *exec.Cmd
}

func newServer(t *testing.T) *server {
	t.Helper()
	if !machine.Inside() {
		t.Skip("runs on a machine, see TestMachine")
	}
	s := &server{t: t, dir: t.TempDir()}
	out, err := exec.Command("ovsdb-tool", "create", s.path("db"), "/usr/share/openvswitch/vswitch.ovsschema").CombinedOutput()
	require.NoError(t, err, "%s", out)
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *server) path(name string) string { return filepath.Join(s.dir, name) }
func (s *server) address() string         { return "unix:" + s.path("sock") }

func (s *server) start() {
	s.t.Helper()
	s.cmd = exec.Command("ovsdb-server", "--remote=punix:"+s.path("sock"), "--no-chdir", "--unixctl="+s.path("ctl"), s.path("db"))
	s.cmd.Env = append(os.Environ(), "OVS_RUNDIR="+s.dir)
	require.NoError(s.t, s.cmd.Start())
	require.Eventually(s.t, func() bool {
		c, err := net.Dial("unix", s.path("sock"))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, 10*time.Second, 5*time.Millisecond)
}

func (s *server) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	_ = os.Remove(s.path("sock"))
}

// initialised is a client of a server whose switch has its one row.
func (s *server) initialised() *ovsdb.Client {
	s.t.Helper()
	c := ovsdb.New(s.address())
	s.t.Cleanup(c.Close)
	_, err := c.Transact(s.t.Context(), ovsdb.Database, ovsdb.Insert(ovsdb.Database, "", ovsdb.Row{}))
	require.NoError(s.t, err)
	return c
}

// bridge are the operations that make a bridge with its internal port.
func bridge(name string) []ovsdb.Operation {
	return []ovsdb.Operation{
		ovsdb.Insert("Interface", "interface", ovsdb.Row{"name": name, "type": "internal"}),
		ovsdb.Insert("Port", "port", ovsdb.Row{"name": name, "interfaces": ovsdb.Named("interface")}),
		ovsdb.Insert("Bridge", "bridge", ovsdb.Row{"name": name, "ports": ovsdb.Named("port"), "external_ids": ovsdb.Map{"opdbus": "network.lan"},
			"protocols": ovsdb.Set{"OpenFlow13", "OpenFlow14"}}),
		ovsdb.Mutate(ovsdb.Database, ovsdb.Every(), ovsdb.Mutation{"bridges", "insert", ovsdb.Named("bridge")}),
	}
}

func TestOnMachineClient(t *testing.T) {
	s := newServer(t)
	c := s.initialised()
	ctx := t.Context()

	names, err := c.Databases(ctx)
	require.NoError(t, err)
	assert.Contains(t, names, ovsdb.Database)

	t.Run("does all operations of a transaction, and reads what it wrote", func(t *testing.T) {
		done, err := c.Transact(ctx, ovsdb.Database, bridge("br0")...)
		require.NoError(t, err)
		assert.NotEmpty(t, done[2].UUID)
		assert.Equal(t, 1, done[3].Count)
		read, err := c.Transact(ctx, ovsdb.Database, ovsdb.Select("Bridge", ovsdb.Of(done[2].UUID), "name", "external_ids", "protocols", "ports", "fail_mode"))
		require.NoError(t, err)
		row := read[0].Rows[0]
		assert.Equal(t, "br0", row["name"])
		assert.Equal(t, map[string]string{"opdbus": "network.lan"}, ovsdb.Strings(row["external_ids"]))
		assert.Equal(t, ovsdb.Set{"OpenFlow13", "OpenFlow14"}, row["protocols"])
		assert.Equal(t, []any{done[1].UUID}, ovsdb.Elements(row["ports"]), "a set of one comes as its element")
		assert.Equal(t, ovsdb.Set{}, row["fail_mode"])
		assert.Empty(t, ovsdb.Elements(row["fail_mode"]))
	})
	t.Run("an operation that fails is an error that names it, and nothing is done", func(t *testing.T) {
		ops := append(bridge("br1"), ovsdb.Insert("Bridge", "", ovsdb.Row{"nonsense": 1}))
		_, err := c.Transact(ctx, ovsdb.Database, ops...)
		var e *ovsdb.Error
		require.ErrorAs(t, err, &e)
		assert.Contains(t, err.Error(), "the switch's database cannot insert Bridge: ")
		read, err := c.Transact(ctx, ovsdb.Database, ovsdb.Select("Bridge", []ovsdb.Condition{{"name", "==", "br1"}}, "name"))
		require.NoError(t, err)
		assert.Empty(t, read[0].Rows)
	})
	t.Run("one that the schema does not allow as a whole is an error, which comes after those of the operations", func(t *testing.T) {
		_, err := c.Transact(ctx, ovsdb.Database, bridge("br0")...)
		var e *ovsdb.Error
		require.ErrorAs(t, err, &e)
		assert.Nil(t, e.Op)
		assert.Equal(t, "constraint violation", e.Name)
		assert.Contains(t, err.Error(), "the switch's database refuses the transaction: constraint violation: ")
	})
	t.Run("what changed since it was read is told apart", func(t *testing.T) {
		seen := ovsdb.Row{"fail_mode": "secure"}
		_, err := c.Transact(ctx, ovsdb.Database, ovsdb.Unless("Bridge", []ovsdb.Condition{{"name", "==", "br0"}}, []string{"fail_mode"}, seen),
			ovsdb.Update("Bridge", []ovsdb.Condition{{"name", "==", "br0"}}, ovsdb.Row{"fail_mode": "standalone"}))
		var e *ovsdb.Error
		require.ErrorAs(t, err, &e)
		assert.True(t, e.Changed())
		assert.EqualError(t, err, "the table Bridge of the switch's database changed since it was read")
	})
	t.Run("many ask at once", func(t *testing.T) {
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				done, err := c.Transact(ctx, ovsdb.Database, ovsdb.Select("Bridge", ovsdb.Every(), "name"), ovsdb.Comment(fmt.Sprint(i)))
				assert.NoError(t, err)
				assert.Len(t, done, 2)
			})
		}
		all.Wait()
	})
	t.Run("a server that is gone is an error, and the next call finds the new one", func(t *testing.T) {
		s.stop()
		_, err := c.Databases(ctx)
		require.Error(t, err)
		_, err = c.Databases(ctx)
		var absent *ovsdb.AbsentError
		require.ErrorAs(t, err, &absent)
		assert.Contains(t, err.Error(), "ovsdb-server does not run")
		s.start()
		_, err = c.Databases(ctx)
		require.NoError(t, err)
	})
	t.Run("one that hangs is an error when the time is over", func(t *testing.T) {
		require.NoError(t, exec.Command("kill", "-STOP", fmt.Sprint(s.cmd.Process.Pid)).Run())
		defer func() { _ = exec.Command("kill", "-CONT", fmt.Sprint(s.cmd.Process.Pid)).Run() }()
		within, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		_, err := c.Databases(within)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "cannot wait for the switch's database to answer list_dbs")
	})
}

func TestOnMachineMonitor(t *testing.T) {
	s := newServer(t)
	c := s.initialised()
	ctx := t.Context()
	_, err := c.Transact(ctx, ovsdb.Database, bridge("br0")...)
	require.NoError(t, err)
	m, err := c.Monitor(ctx, ovsdb.Database, map[string][]string{"Bridge": {"name"}, "Port": nil})
	require.NoError(t, err)
	bridges := func(tables ovsdb.Tables) (names []string) {
		for _, row := range tables["Bridge"] {
			names = append(names, row["name"].(string))
		}
		return names
	}
	assert.Equal(t, []string{"br0"}, bridges(m.Rows()), "what is there is told at once")
	_, err = c.Transact(ctx, ovsdb.Database, bridge("br1")...)
	require.NoError(t, err)
	within, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	require.NoError(t, m.Wait(within, func(tables ovsdb.Tables) bool { return len(tables["Bridge"]) == 2 && len(tables["Port"]) == 2 }))
	_, err = c.Transact(ctx, ovsdb.Database, ovsdb.Update(ovsdb.Database, ovsdb.Every(), ovsdb.Row{"bridges": ovsdb.Set{}}))
	require.NoError(t, err)
	require.NoError(t, m.Wait(within, func(tables ovsdb.Tables) bool { return len(tables["Bridge"]) == 0 }), "what nothing refers to goes")
	m.Close()

	t.Run("that is in use when the server goes says so", func(t *testing.T) {
		m, err := c.Monitor(ctx, ovsdb.Database, map[string][]string{"Bridge": {"name"}})
		require.NoError(t, err)
		time.AfterFunc(50*time.Millisecond, func() { _ = s.cmd.Process.Kill() })
		err = m.Wait(within, func(ovsdb.Tables) bool { return false })
		assert.ErrorContains(t, err, "the connection to the switch's database broke: the server has gone")
	})
}

// TestConfigure has the test be ovs-vswitchd, which says by cur_cfg what it has done.
func TestOnMachineConfigure(t *testing.T) {
	s := newServer(t)
	c := s.initialised()
	vswitchd := ovsdb.New(s.address())
	defer vswitchd.Close()
	m, err := vswitchd.Monitor(t.Context(), ovsdb.Database, map[string][]string{ovsdb.Database: {"next_cfg", "cur_cfg"}})
	require.NoError(t, err)
	wanted := func(tables ovsdb.Tables) int64 {
		for _, row := range tables[ovsdb.Database] {
			return row["next_cfg"].(int64)
		}
		return 0
	}
	told := make(chan error, 1)
	go func() {
		err := m.Wait(t.Context(), func(tables ovsdb.Tables) bool { return wanted(tables) > 0 })
		if err == nil { // another's change has come in between
			_, err = vswitchd.Transact(t.Context(), ovsdb.Database, ovsdb.Update(ovsdb.Database, ovsdb.Every(), ovsdb.Row{"cur_cfg": wanted(m.Rows()) + 3}))
		}
		told <- err
	}()
	done, err := c.Configure(t.Context(), bridge("br0")...)
	require.NoError(t, err)
	require.NoError(t, <-told)
	assert.Len(t, done, 4)

	t.Run("nobody who does it is an error when the time is over", func(t *testing.T) {
		within, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := c.Transact(t.Context(), ovsdb.Database, ovsdb.Update(ovsdb.Database, ovsdb.Every(), ovsdb.Row{"cur_cfg": 0}))
		require.NoError(t, err)
		_, err = c.Configure(within, bridge("br1")...)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}
