package dbus

import (
	"bufio"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/state"
)

// A world is a bus of the test's own, and the kinds that look at it.
type world struct {
	t       *testing.T
	address string
	bus     *sysbus.Bus
	host    state.Host
	kinds   state.Kinds
}

// newWorld starts a bus that can start the services of which it is given the name and the command.
func newWorld(t *testing.T, activatable map[string]string) *world {
	t.Helper()
	dir := t.TempDir()
	for name, command := range activatable {
		write(t, filepath.Join(dir, "services", name+".service"), fmt.Sprintf("[D-BUS Service]\nName=%s\nExec=%s\n", name, command))
	}
	config := filepath.Join(dir, "bus.conf")
	write(t, config, fmt.Sprintf(`<busconfig><type>session</type><listen>unix:dir=%s</listen><servicedir>%s/services</servicedir>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`, dir, dir))
	daemon := exec.Command("dbus-daemon", "--config-file="+config, "--nofork", "--print-address=1")
	out, err := daemon.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, daemon.Start(), "needs dbus-daemon")
	t.Cleanup(func() {
		_ = daemon.Process.Kill()
		_ = daemon.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	w := &world{t: t, address: strings.TrimSpace(address), host: state.Host{Root: t.TempDir(), Store: "/store", Registry: "/plugins"}}
	w.again()
	return w
}

// again makes the kinds anew, as another process has them.
func (w *world) again() {
	w.bus = sysbus.New(w.address)
	w.t.Cleanup(func() { _ = w.bus.Close() })
	w.kinds = Kinds(w.host, w.bus)
}

func addr(kind, key string) state.Addr {
	return state.Addr{Node: state.NodeAddr{Type: state.PluginNode, Name: "dbus"}, Kind: kind, Key: key}
}

func addrOf(o state.Object) state.Addr {
	if _, is := o.(Call); is {
		return addr("call", o.Key())
	}
	return addr("property", o.Key())
}

func (w *world) kind(o state.Object) *state.Kind { return w.kinds.For(addrOf(o)) }

func (w *world) read(wants ...state.Object) ([]state.Object, error) {
	addrs := make([]state.Addr, len(wants))
	for i, o := range wants {
		addrs[i] = addrOf(o)
	}
	return w.kind(wants[0]).Read(w.t.Context(), addrs, wants)
}

// plan is what a plan comes to for what is wanted: the change, or what it says is wrong.
func (w *world) plan(made, want state.Object) (state.Change, error) {
	w.t.Helper()
	lives, err := w.read(want)
	if err != nil {
		return state.Change{}, err
	}
	items := []state.PlannedObject{{Addr: addrOf(want), Made: made, Live: lives[0], Want: want}}
	if err := w.kind(want).Plan(w.t.Context(), items); err != nil {
		return state.Change{}, err
	}
	c := state.Change{Addr: addrOf(want), Before: lives[0], After: items[0].Want}
	if c.Before != nil && !w.kind(want).Owns(made, c.Before) {
		if c.After, err = w.kind(want).Claim(c.After, c.Before); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (w *world) apply(c state.Change) error {
	return w.kinds.For(c.Addr).Apply(w.t.Context(), state.Site{Node: c.Addr.Node, Run: 1}, []state.Change{c})
}

// make makes what is wanted, and returns what the ledger would have.
func (w *world) make(made, want state.Object) state.Object {
	w.t.Helper()
	c, err := w.plan(made, want)
	require.NoError(w.t, err)
	require.NoError(w.t, w.apply(c))
	lives, err := w.read(c.After)
	require.NoError(w.t, err)
	require.True(w.t, state.Same(c.After, lives[0]), "%+v", lives[0])
	return c.After
}

const (
	service = "org.example.Test"
	at      = dbus.ObjectPath("/org/example/Test")
)

// An exampleService is a service with properties of all kinds, which counts what it is asked.
type exampleService struct {
	t    *testing.T
	conn *dbus.Conn

	mu      sync.Mutex
	values  map[string]dbus.Variant
	asked   map[string]int
	refuses string // the property that it does not let be set
	hang    chan struct{}
}

// xml is what it tells of itself.
const xml = `<node><interface name="org.freedesktop.DBus.Properties"/><interface name="org.example.Test">
<property name="Name" type="s" access="readwrite"/><property name="Count" type="u" access="readwrite"/><property name="Big" type="t" access="readwrite"/>
<property name="List" type="as" access="readwrite"/><property name="Options" type="a{sv}" access="readwrite"/><property name="Pairs" type="a(is)" access="readwrite"/>
<property name="Anything" type="v" access="readwrite"/><property name="Bytes" type="ay" access="readwrite"/><property name="Object" type="o" access="readwrite"/>
<property name="Fixed" type="s" access="read"/><property name="Door" type="s" access="write"/><property name="Costly" type="s" access="readwrite"/>
<method name="SetName"><arg type="s" direction="in"/><arg type="b" direction="in"/></method>
<method name="SetFixed"><arg type="a{sv}" direction="in"/><arg type="s" direction="out"/></method>
<method name="Bump"><arg name="by" type="u"/></method><method name="Nothing"/><method name="Hang"/><signal name="Bumped"><arg type="u"/></signal></interface></node>`

func serve(t *testing.T, w *world) *exampleService {
	t.Helper()
	conn, err := dbus.Connect(w.address)
	require.NoError(t, err)
	s := &exampleService{t: t, conn: conn, hang: make(chan struct{}), asked: map[string]int{}, values: map[string]dbus.Variant{
		"Name": dbus.MakeVariant("first"), "Count": dbus.MakeVariant(uint32(1)), "Big": dbus.MakeVariant(uint64(1)), "List": dbus.MakeVariant([]string{"a"}),
		"Options": dbus.MakeVariant(map[string]dbus.Variant{"speed": dbus.MakeVariant(uint16(10))}), "Pairs": dbus.MakeVariant([]struct {
			A int32
			B string
		}{{1, "one"}}), "Anything": dbus.MakeVariant(dbus.MakeVariant(int64(5))), "Bytes": dbus.MakeVariant([]byte{0, 1}), "Object": dbus.MakeVariant(dbus.ObjectPath("/")),
		"Fixed": dbus.MakeVariant("fixed"), "Costly": dbus.MakeVariant("gold"),
	}}
	require.NoError(t, conn.ExportMethodTable(map[string]any{"Get": s.get, "GetAll": s.getAll, "Set": s.set}, at, "org.freedesktop.DBus.Properties"))
	require.NoError(t, conn.ExportMethodTable(map[string]any{"SetName": s.setName, "SetFixed": s.setFixed, "Bump": s.bump, "Nothing": s.nothing, "Hang": s.hangs}, at, service))
	for of, text := range map[dbus.ObjectPath]string{at: xml, "/": `<node><node name="org"/></node>`, "/org": `<node><node name="example"/></node>`, "/org/example": `<node><node name="Test"/></node>`} {
		require.NoError(t, conn.ExportMethodTable(map[string]any{"Introspect": func() (string, *dbus.Error) { s.count("Introspect"); return text, nil }}, of, "org.freedesktop.DBus.Introspectable"))
	}
	_, err = conn.RequestName(service, dbus.NameFlagDoNotQueue)
	require.NoError(t, err)
	t.Cleanup(func() { close(s.hang); _ = conn.Close() })
	return s
}

func (s *exampleService) count(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[what]++
}

// calls is how often it was asked something since the last time.
func (s *exampleService) calls() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, what := range slices.Sorted(maps.Keys(s.asked)) {
		all = append(all, fmt.Sprintf("%s %d", what, s.asked[what]))
	}
	s.asked = map[string]int{}
	return strings.Join(all, ", ")
}

func (s *exampleService) value(name string) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := decodeVariant(s.values[name])
	require.NoError(s.t, err)
	return v
}

// text is a property in the notation of GVariant.
func (s *exampleService) text(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[name].String()
}

// refuse has it not let a property be set.
func (s *exampleService) refuse(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuses = name
}

func (s *exampleService) get(_, name string) (dbus.Variant, *dbus.Error) {
	s.count("Get")
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.values[name]; ok {
		return v, nil
	}
	return dbus.Variant{}, dbus.NewError(sysbus.InvalidArgs, []any{"no such property"})
}

func (s *exampleService) getAll(iface string) (map[string]dbus.Variant, *dbus.Error) {
	s.count("GetAll")
	if iface != service {
		return nil, dbus.NewError(sysbus.InvalidArgs, []any{"no such interface"})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := maps.Clone(s.values)
	delete(all, "Costly")
	return all, nil
}

func (s *exampleService) set(_, name string, v dbus.Variant) *dbus.Error {
	s.count("Set")
	s.mu.Lock()
	defer s.mu.Unlock()
	was, ok := s.values[name]
	switch {
	case name == s.refuses:
		return dbus.NewError(sysbus.AccessDenied, []any{"not you"})
	case !ok || was.Signature() != v.Signature():
		return dbus.NewError(sysbus.InvalidArgs, []any{"wrong type " + v.Signature().String()})
	}
	s.values[name] = sendable(s.t, v)
	return nil
}

// sendable is a variant that came over the bus as one that can be sent: the library reads structs as what it would send as lists.
func sendable(t *testing.T, v dbus.Variant) dbus.Variant {
	is := signature(v.Signature().String())
	plain, err := decode(v.Value(), is)
	require.NoError(t, err)
	x, err := encode(plain, is, v.Value())
	require.NoError(t, err)
	return dbus.MakeVariantWithSignature(x, v.Signature())
}

func (s *exampleService) setName(name string, loud bool) *dbus.Error {
	s.count("SetName")
	if loud {
		name = strings.ToUpper(name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values["Name"] = dbus.MakeVariant(name)
	return nil
}

func (s *exampleService) setFixed(in map[string]dbus.Variant) (string, *dbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values["Fixed"] = in["to"]
	return "", nil
}

func (s *exampleService) bump(by uint32) *dbus.Error {
	s.count("Bump")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values["Count"] = dbus.MakeVariant(s.values["Count"].Value().(uint32) + by)
	return nil
}

func (s *exampleService) nothing() *dbus.Error { return nil }
func (s *exampleService) hangs() *dbus.Error   { <-s.hang; return nil }
