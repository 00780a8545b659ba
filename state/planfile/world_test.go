package planfile

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
)

// A thing is an object with all that objects may have: a secret, a content, and what is not compared.
type thing struct {
	Name   string `json:"name"`
	Secret string `json:"secret,omitempty"`
	Digest string `json:"digest,omitempty"`
	Since  int    `json:"since,omitempty"` // no part of its state
	Text   string `json:"-"`
	From   string `json:"-"`
}

func (t thing) Key() string { return t.Name }

func (t thing) Same(other state.Object) bool {
	o, ok := other.(thing)
	return ok && t.Name == o.Name && t.Secret == o.Secret && t.Digest == o.Digest
}

func (t thing) Source() state.Source {
	if t.Digest == "" {
		return state.Source{}
	}
	return state.Source{Digest: t.Digest, Size: int64(len(t.Text)), Path: t.From, Data: t.Text}
}

func (t thing) SourcedFrom(path string) state.Object {
	t.From, t.Text = path, ""
	return t
}

// holding is a thing with a content.
func holding(name, text string) thing {
	return thing{Name: name, Digest: digestOf([]byte(text)), Text: text}
}

type things struct{}

func (things) Read(context.Context, thing) (*thing, error) { return nil, nil }
func (things) Apply(context.Context, *thing, *thing) error { return nil }

func kinds() state.Kinds { return state.Kinds{state.KindOf("stage", "thing", things{})} }

func key() []byte { return bytes.Repeat([]byte{7}, 32) }

func core() state.NodeAddr { return state.NodeAddr{Type: state.StageNode, Name: "core"} }

func addr(name string) state.Addr { return state.Addr{Node: core(), Kind: "thing", Key: name} }

// small is a plan with a secret, and with two contents of which one is needed twice and one is there already.
func small() *state.Plan {
	hidden := holding("hidden", "content: open sesame")
	hidden.Secret = "attribute: open sesame"
	return &state.Plan{Host: "0123", Hostname: "example", Config: "sha256:config", Dir: "/srv/config", Run: 3, Nodes: []*state.NodePlan{{
		Addr: core(), TakesBack: "snapshot", Verify: []state.Check{{Name: "v", Command: []string{"check", "open sesame"}, Timeout: time.Second}},
		Changes: []state.Change{
			{Addr: addr("hidden"), After: hidden, Cause: state.CauseConfig, Sensitive: []string{"secret", "digest"}},
			{Addr: addr("one"), After: holding("one", "content one"), Cause: state.CauseConfig, Source: state.Range{File: "/srv/config/main.hcl", Line: 3}},
			{Addr: addr("two"), After: holding("two", "content one"), Cause: state.CauseConfig},
			{Addr: addr("there"), Before: thing{Name: "there", Secret: "s", Digest: digestOf([]byte("old"))}, After: holding("there", "old"), Cause: state.CauseDrift},
			{Addr: addr("gone"), Before: holding("gone", "of no use"), Made: thing{Name: "gone"}},
		},
	}}}
}

func options(t require.TestingT, p *state.Plan) Options {
	var document bytes.Buffer
	require.NoError(t, render.JSON(&document, p, render.Options{Key: key(), Kinds: kinds()}))
	return Options{Opdbus: "1.2.3", Store: "/var/lib/op-dbus", Registry: "/etc/op-dbus/plugins", Key: key(), Document: document.Bytes(),
		Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Valid: time.Hour}
}

// saved saves a plan and opens the file.
func saved(t *testing.T, p *state.Plan) *File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plan")
	require.NoError(t, Write(path, p, options(t, p)))
	f, err := Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// contents are what the changes of an unsealed plan are made from.
func contents(t require.TestingT, p *state.Plan) string {
	var b bytes.Buffer
	for _, n := range p.Nodes {
		for _, c := range n.Changes {
			if made, ok := c.After.(thing); ok && made.From != "" {
				data, err := os.ReadFile(made.From)
				require.NoError(t, err)
				fmt.Fprintf(&b, "%s: %s\n", c.Addr.Key, data)
			}
		}
	}
	return b.String()
}

// filler sets every exported member of a value, or those that choose says, so that a member that the format forgets is found
// by whoever adds it.
type filler struct {
	choose func() bool
	n      int
}

func (f *filler) fill(v reflect.Value) {
	f.n++
	switch v.Type() {
	case reflect.TypeFor[state.NodeAddr]():
		v.Set(reflect.ValueOf(state.NodeAddr{Type: state.StageNode, Name: fmt.Sprintf("n%d", f.n), Key: "k"}))
		return
	case reflect.TypeFor[state.Addr]():
		v.Set(reflect.ValueOf(state.Addr{Node: core(), Kind: "thing", Key: fmt.Sprintf("k%d", f.n)}))
		return
	case reflect.TypeFor[state.Object]():
		v.Set(reflect.ValueOf(thing{Name: fmt.Sprintf("o%d", f.n), Secret: "<&>", Since: f.n}))
		return
	case reflect.TypeFor[json.RawMessage](), reflect.TypeFor[[]byte]():
		v.SetBytes(fmt.Appendf(nil, `{"<b>":%d,"a":[1]}`, f.n))
		return
	case reflect.TypeFor[[]*state.Node]():
		return // Wanted, which is in the plan's JSON only
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d", f.n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(f.n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		f.fill(v.Index(0))
		f.fill(v.Index(1))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && f.choose() {
				f.fill(v.Field(i))
			}
		}
	default:
		panic("cannot fill a " + v.Type().String())
	}
}

// plan is one with the members that choose says, which is right in itself.
func (f *filler) plan() *state.Plan {
	p := &state.Plan{}
	f.fill(reflect.ValueOf(p).Elem())
	for i, n := range p.Nodes {
		n.Addr.Type, n.Addr.Name = state.StageNode, fmt.Sprintf("node%d", i)
		if n.After != nil {
			n.After = []state.NodeAddr{p.Nodes[0].Addr, n.Addr}
		}
		if n.Back != nil {
			for j := range n.Back.Owned { // every node has an address
				n.Back.Owned[j].Node = core()
			}
		}
	}
	for i := range p.Skipped {
		p.Skipped[i].Addr = core()
	}
	by := func(addrs []state.Addr) {
		for i := range addrs {
			addrs[i] = addr(fmt.Sprint(i))
		}
	}
	for i := range p.Triggers {
		p.Triggers[i].Addr = addr(fmt.Sprint(i))
		by(p.Triggers[i].By)
	}
	named := func(changes []state.Change) {
		for i := range changes {
			by(changes[i].TriggeredBy)
			if changes[i].Addr.IsNode() {
				changes[i].Addr = addr(fmt.Sprint(i))
			}
		}
	}
	named(p.Drifted)
	for _, n := range p.Nodes {
		named(n.Changes)
	}
	return p
}
