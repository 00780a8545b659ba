package dbus

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
)

// TestActivated is the service that a bus of a test starts.
func TestActivated(t *testing.T) {
	address, marker := os.Getenv("DBUS_STARTER_ADDRESS"), os.Getenv("OPDBUS_TEST_MARKER")
	if address == "" || marker == "" {
		t.Skip("is started by the bus of TestDiscover")
	}
	write(t, marker, "")
	conn, err := dbus.Connect(address)
	require.NoError(t, err)
	newTree(conn, map[dbus.ObjectPath]string{"/": `<interface name="org.example.Activated"><property name="A" type="s" access="read"/></interface>`})
	_, err = conn.RequestName("org.example.Activated", dbus.NameFlagDoNotQueue)
	require.NoError(t, err)
	select {
	case <-conn.Context().Done():
	case <-time.After(time.Minute):
	}
}

// A tree is objects that tell what they have, and how often they were asked.
type tree struct {
	conn *dbus.Conn

	mu    sync.Mutex
	nodes map[dbus.ObjectPath]string
	asked []dbus.ObjectPath
	dies  int // after how many answers its connection ends; 0: never
	hangs dbus.ObjectPath
}

func newTree(conn *dbus.Conn, nodes map[dbus.ObjectPath]string) *tree {
	tr := &tree{conn: conn, nodes: map[dbus.ObjectPath]string{}}
	for at, text := range nodes {
		tr.add(at, text)
	}
	return tr
}

// add adds an object, and has it and those above it tell of themselves.
func (tr *tree) add(at dbus.ObjectPath, text string) {
	tr.mu.Lock()
	tr.nodes[at] = text
	tr.mu.Unlock()
	for {
		of := at
		_ = tr.conn.ExportMethodTable(map[string]any{"Introspect": func() (string, *dbus.Error) { return tr.introspect(of) }}, at, "org.freedesktop.DBus.Introspectable")
		if at == "/" {
			return
		}
		at = at[:max(1, strings.LastIndexByte(string(at), '/'))]
	}
}

func (tr *tree) introspect(at dbus.ObjectPath) (string, *dbus.Error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.asked = append(tr.asked, at)
	switch {
	case tr.hangs == at:
		return "", tr.hang()
	case tr.dies > 0 && len(tr.asked) >= tr.dies:
		_ = tr.conn.Close()
	}
	text := tr.nodes[at]
	seen := map[string]bool{}
	prefix := strings.TrimSuffix(string(at), "/") + "/"
	for below := range tr.nodes {
		if rest, ok := strings.CutPrefix(string(below), prefix); ok && rest != "" {
			name, _, _ := strings.Cut(rest, "/")
			if !seen[name] {
				seen[name] = true
				text += fmt.Sprintf(`<node name=%q/>`, name)
			}
		}
	}
	return "<node>" + text + "</node>", nil
}

// with changes it between two questions.
func (tr *tree) with(change func()) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	change()
}

// questions is how many objects were asked since the last time.
func (tr *tree) questions() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	n := len(tr.asked)
	tr.asked = nil
	return n
}

// hang answers when its connection ends.
func (tr *tree) hang() *dbus.Error {
	tr.mu.Unlock()
	defer tr.mu.Lock()
	<-tr.conn.Context().Done()
	return nil
}

// serveTree offers objects under a name.
func serveTree(t *testing.T, w *world, name string, nodes map[dbus.ObjectPath]string) *tree {
	t.Helper()
	conn, err := dbus.Connect(w.address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	tr := newTree(conn, nodes)
	_, err = conn.RequestName(name, dbus.NameFlagDoNotQueue)
	require.NoError(t, err)
	return tr
}

func (w *world) discover(look state.Look) []state.Service {
	w.t.Helper()
	all, err := w.kinds.Discoverer().Discover(w.t.Context(), look)
	require.NoError(w.t, err)
	return all
}

func (w *world) service(name string) state.Service {
	w.t.Helper()
	return w.discover(state.Look{Services: []string{name}})[0]
}

func names(all []state.Service) (names []string) {
	for _, s := range all {
		names = append(names, s.Name)
	}
	return names
}

func paths(s state.Service) (paths []string) {
	for _, o := range s.Objects {
		paths = append(paths, o.Path)
	}
	return paths
}

const face = `<interface name="org.example.Leaf"><property name="A" type="s" access="readwrite"/><method name="M"><arg type="s" direction="in"/><arg type="a{sv}" direction="out"/></method><signal name="S"><arg type="u"/></signal></interface><interface name="org.freedesktop.DBus.Peer"/>`

func TestDiscover(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "started")
	t.Setenv("OPDBUS_TEST_MARKER", marker)
	self, err := os.Executable()
	require.NoError(t, err)
	w := newWorld(t, map[string]string{"org.example.Activated": self + " -test.run=^TestActivated$", "org.example.Broken": "/bin/false"})
	s := serve(t, w)

	t.Run("services that run and services that can be started are found, and none is started", func(t *testing.T) {
		all := w.discover(state.Look{})
		assert.Equal(t, []string{"org.example.Activated", "org.example.Broken", service, "org.freedesktop.DBus"}, names(all))
		assert.Equal(t, []any{false, true, "", 0}, []any{all[0].Running, all[0].Activatable, all[0].Owner, len(all[0].Objects)})
		assert.Equal(t, []any{true, false, s.conn.Names()[0], 1, 1}, []any{all[2].Running, all[2].Activatable, all[2].Owner, len(all[2].Objects), all[2].Interfaces()})
		assert.Equal(t, []string{string(at)}, paths(all[2]))
		for _, of := range all {
			assert.Empty(t, of.Problem, of.Name)
			assert.False(t, of.Reserved)
		}
		listed, ok, err := w.kinds.For(addr("service", "x")).List(t.Context())
		require.NoError(t, err)
		assert.True(t, ok)
		assert.Len(t, listed, 4)
		assert.NoFileExists(t, marker)
	})

	t.Run("what a service offers is told with types, and with values where these are asked for", func(t *testing.T) {
		of := w.discover(state.Look{Services: []string{service}, Values: true})[0]
		i := of.Objects[0].Interfaces[0]
		assert.Contains(t, i.Properties, state.ServiceProperty{Name: "Big", Type: "t", Access: "readwrite", Value: 1.0})
		assert.Contains(t, i.Properties, state.ServiceProperty{Name: "Pairs", Type: "a(is)", Access: "readwrite", Value: []any{[]any{1.0, "one"}}})
		assert.Contains(t, i.Properties, state.ServiceProperty{Name: "Door", Type: "s", Access: "write"})
		assert.Contains(t, i.Methods, state.ServiceMethod{Name: "SetFixed", In: "a{sv}", Out: "s"})
		assert.Contains(t, i.Methods, state.ServiceMethod{Name: "Bump", In: "u"})
		assert.Equal(t, []state.ServiceSignal{{Name: "Bumped", Type: "u"}}, i.Signals)
		for _, p := range w.service(service).Objects[0].Interfaces[0].Properties {
			assert.Nil(t, p.Value, p.Name)
		}
	})

	t.Run("only who is told to starts a service", func(t *testing.T) {
		all := w.discover(state.Look{Services: []string{"org.example.Activated", "org.example.Broken", "org.example.Nobody"}, Activate: true})
		assert.FileExists(t, marker)
		assert.True(t, all[0].Running)
		assert.Equal(t, []string{"/"}, paths(all[0]))
		assert.Contains(t, all[1].Problem, "it cannot be started: ")
		assert.Contains(t, all[2].Problem, "it neither runs nor can be started by the bus")
	})
}

func TestDiscoverBounds(t *testing.T) {
	w := newWorld(t, nil)

	t.Run("of many objects those nearest to the root are told", func(t *testing.T) {
		nodes := map[dbus.ObjectPath]string{"/top": face}
		for i := range 1500 {
			nodes[dbus.ObjectPath(fmt.Sprintf("/many/o%04d", i))] = face
		}
		tr := serveTree(t, w, "org.example.Many", nodes)
		of := w.service("org.example.Many")
		assert.Equal(t, "it has more than 1000 objects, and the others are left out", strings.SplitN(of.Problem, ";", 2)[0])
		assert.Contains(t, paths(of), "/top")
		assert.Len(t, of.Objects, maxObjects-2, "the root and /many have nothing of their own")
		assert.Equal(t, maxObjects, tr.questions())
	})

	t.Run("what is deep is left out", func(t *testing.T) {
		serveTree(t, w, "org.example.Deep", map[dbus.ObjectPath]string{dbus.ObjectPath(strings.Repeat("/a", 40)): face, dbus.ObjectPath(strings.Repeat("/b", maxDepth)): face})
		of := w.service("org.example.Deep")
		assert.Equal(t, []string{strings.Repeat("/b", maxDepth)}, paths(of))
		assert.Contains(t, of.Problem, "it has objects below "+strings.Repeat("/a", maxDepth)+", which are left out")
	})

	t.Run("a service that hangs is said to, and holds up no other", func(t *testing.T) {
		tr := serveTree(t, w, "org.example.Hangs", map[dbus.ObjectPath]string{"/a": face, "/b": face})
		tr.with(func() { tr.hangs = "/a" })
		serveTree(t, w, "org.example.Well", map[dbus.ObjectPath]string{"/a": face})
		began := time.Now()
		all := w.discover(state.Look{Services: []string{"org.example.Hangs", "org.example.Well"}})
		assert.Equal(t, "org.example.Hangs did not answer Introspect within 5s; the service may hang", all[0].Problem)
		assert.Equal(t, []string{"/a"}, paths(all[1]))
		assert.Less(t, time.Since(began), 2*askTimeout)
	})

	t.Run("an owner that goes in the middle is told, and what it told is not kept", func(t *testing.T) {
		tr := serveTree(t, w, "org.example.Dies", map[dbus.ObjectPath]string{"/a": face, "/b": face, "/c": face})
		tr.with(func() { tr.dies = 3 })
		of := w.service("org.example.Dies")
		assert.False(t, of.Running)
		assert.Empty(t, of.Objects)
		assert.Equal(t, "its owner has changed while it was looked at", of.Problem)
	})

	t.Run("what is no introspection is told", func(t *testing.T) {
		serveTree(t, w, "org.example.Garbage", map[dbus.ObjectPath]string{"/": "<"})
		assert.Contains(t, w.service("org.example.Garbage").Problem, "cannot read what ")
		conn, err := dbus.Connect(w.address)
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.ExportMethodTable(map[string]any{"Introspect": func() (string, *dbus.Error) { return "", &dbus.ErrMsgUnknownMethod }}, "/", "org.freedesktop.DBus.Introspectable"))
		_, err = conn.RequestName("org.example.Mute", 0)
		require.NoError(t, err)
		assert.Contains(t, w.service("org.example.Mute").Problem, "org.example.Mute cannot do Introspect: ")
	})
}

func TestDiscoverManagers(t *testing.T) {
	w := newWorld(t, nil)
	tr := serveTree(t, w, "org.example.Manager", map[dbus.ObjectPath]string{"/": `<interface name="` + objectManager + `"><method name="GetManagedObjects"/></interface>`, "/o/1": face})
	managed := map[dbus.ObjectPath]map[string]map[string]dbus.Variant{}
	for i := range 500 {
		managed[dbus.ObjectPath(fmt.Sprintf("/hidden/o%03d", i))] = map[string]map[string]dbus.Variant{"org.example.Leaf": {"A": dbus.MakeVariant(fmt.Sprint(i))}}
	}
	tr.add("/hidden/o000", face)
	require.NoError(t, tr.conn.ExportMethodTable(map[string]any{"GetManagedObjects": func() (map[dbus.ObjectPath]map[string]map[string]dbus.Variant, *dbus.Error) { return managed, nil }}, "/", objectManager))

	of := w.discover(state.Look{Services: []string{"org.example.Manager"}, Values: true})[0]
	require.Len(t, of.Objects, 502, "%s", of.Problem)
	assert.Less(t, tr.questions(), 10, "objects of a kind that is known are not asked")
	assert.Equal(t, "/hidden/o007", of.Objects[8].Path)
	assert.Equal(t, "7", of.Objects[8].Interfaces[0].Properties[0].Value)
	assert.Equal(t, "a{sv}", of.Objects[8].Interfaces[0].Methods[0].Out)
}

func TestIndex(t *testing.T) {
	w := newWorld(t, nil)
	const name = "org.example.Tree"
	nodes := func() map[dbus.ObjectPath]string {
		return map[dbus.ObjectPath]string{"/a/1": face, "/a/2": face, "/b": face}
	}
	tr, whole := serveTree(t, w, name, nodes()), t
	file := w.host.Path("/store/state/index/dbus.json")

	t.Run("without a store nothing is kept", func(t *testing.T) {
		w.service(name)
		assert.NoDirExists(t, w.host.Path("/store"))
	})
	require.NoError(t, os.MkdirAll(w.host.Path("/store/state"), 0o700))
	w.again()
	w.service(name)
	tr.questions()

	t.Run("what was told is not asked again, by another process either", func(t *testing.T) {
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode())
		for range 2 {
			assert.Equal(t, []string{"/a/1", "/a/2", "/b"}, paths(w.service(name)))
			assert.Equal(t, 2, tr.questions(), "the root and /a, which may have other children")
			w.again()
		}
	})
	t.Run("objects that have come and gone since are known", func(t *testing.T) {
		tr.add("/a/3", face)
		tr.with(func() { delete(tr.nodes, "/a/1") })
		assert.Equal(t, []string{"/a/2", "/a/3", "/b"}, paths(w.service(name)))
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.NotContains(t, string(data), "/a/1")
	})
	t.Run("another owner is asked anew", func(t *testing.T) {
		require.NoError(t, tr.conn.Close())
		tr = serveTree(whole, w, name, map[dbus.ObjectPath]string{"/a/2": `<interface name="org.example.Other"/>`})
		of := w.service(name)
		assert.Equal(t, []string{"/a/2"}, paths(of))
		assert.Equal(t, "org.example.Other", of.Objects[0].Interfaces[0].Name)
		tr.questions()
	})
	t.Run("so is everybody on another bus, and where the file is damaged", func(t *testing.T) {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		var f map[string]any
		require.NoError(t, json.Unmarshal(data, &f))
		f["bus"] = strings.Repeat("0", 32)
		other, err := json.Marshal(f)
		require.NoError(t, err)
		f["bus"], f["version"] = w.kinds.Discoverer().(*services).known.id, 99
		newer, err := json.Marshal(f)
		require.NoError(t, err)
		for _, content := range []string{string(other), string(newer), "{", "", `{"version": 1, "services": {"org.example.Tree": null}}`, string(data[:len(data)/2])} {
			write(t, file, content)
			w.again()
			assert.Equal(t, []string{"/a/2"}, paths(w.service(name)))
			assert.Equal(t, 3, tr.questions(), "%.60s", content)
		}
		w.again()
		w.service(name)
		assert.Equal(t, 2, tr.questions(), "and what was told is kept again")
	})
	t.Run("a plan that finds fault with what was told asks again", func(t *testing.T) {
		tr.add("/a/2", `<interface name="org.example.Leaf"><property name="A" type="s" access="readwrite"/></interface>`)
		p := &properties{w.bus, w.kinds.Discoverer().(*services).known}
		want := Property{Service: name, Path: "/a/2", Interface: "org.example.Leaf", Property: "A", Value: "x"}
		tr.questions()
		require.NoError(t, p.check(t.Context(), want))
		require.NoError(t, p.check(t.Context(), want))
		assert.Equal(t, 1, tr.questions())
	})
}

// TestHang waits for as long as a call may take.
func TestHang(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	conn, err := dbus.Connect(w.address)
	require.NoError(t, err)
	defer conn.Close()
	hang := make(chan struct{})
	defer close(hang)
	require.NoError(t, conn.ExportMethodTable(map[string]any{"GetAll": func(string) *dbus.Error { <-hang; return nil }}, at, "org.freedesktop.DBus.Properties"))
	_, err = conn.RequestName(service, 0)
	require.NoError(t, err)
	other := property("B", "x")
	other.Interface = "org.example.Other"
	began := time.Now()
	_, err = w.read(property("A", "x"), other)
	require.EqualError(t, err, "cannot read property org.example.Test.A of org.example.Test at /org/example/Test: org.example.Test did not answer GetAll within 25s; the service may hang")
	assert.Less(t, time.Since(began), 40*time.Second, "who hangs is asked once")
}
