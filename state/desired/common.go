package desired

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/opdbus/opdbus/state"
)

type lifecycleBlock struct {
	PreventDestroy bool           `hcl:"prevent_destroy,optional"`
	IgnoreChanges  hcl.Expression `hcl:"ignore_changes,optional"`
	IgnoreDrift    hcl.Expression `hcl:"ignore_drift,optional"`
	site
}

type healthBlock struct {
	Name         string   `hcl:"name,label"`
	Command      []string `hcl:"command,optional"`
	Unit         string   `hcl:"unit,optional"`
	TCP          string   `hcl:"tcp,optional"`
	DBusProperty any      `hcl:"dbus_property,optional"`
	Timeout      string   `hcl:"timeout,optional"`
	Retries      int      `hcl:"retries,optional"`
	site
}

type verifyBlock struct {
	Name       string   `hcl:"name,label"`
	Command    []string `hcl:"command"`
	ExpectExit int      `hcl:"expect_exit,optional"`
	Timeout    string   `hcl:"timeout,optional"`
	site
}

// defaultTimeout is how long one try of a check may take.
const defaultTimeout = 10 * time.Second

// evalCommon evaluates what all nodes have.
func (l *loader) evalCommon(in *instance, d *decoder, ctx *hcl.EvalContext) {
	n := in.of
	var common nodeCommon
	l.notSensitive(n.content, d.fields(n.content, n.catalogue.common, n.catalogue.words, ctx, reflect.ValueOf(&common).Elem()))
	in.node.Description = common.Description
	in.node.Drift = common.Drift
	switch common.Drift {
	case "", "enforce", "alert", "observe":
	default:
		l.diags.Errorf(in.node.Attr("drift"), "Invalid drift", "It is \"enforce\", \"alert\" or \"observe\", not %q.", common.Drift)
	}
	if lc := common.Lifecycle; lc != nil {
		l.notSensitiveAt(lc.site)
		in.node.Lifecycle = state.Lifecycle{
			PreventDestroy: lc.PreventDestroy,
			IgnoreChanges:  l.ignored(n, lc.IgnoreChanges),
			IgnoreDrift:    l.ignored(n, lc.IgnoreDrift),
		}
	}
	names := map[string]state.Range{}
	for _, h := range common.Health {
		in.node.Health = append(in.node.Health, l.health(h, names))
	}
	names = map[string]state.Range{}
	for _, v := range common.Verify {
		in.node.Verify = append(in.node.Verify, l.verify(v, names))
	}
}

func (l *loader) health(h healthBlock, names map[string]state.Range) state.Check {
	l.onlyOne("health", h.Name, h.site, names)
	l.notSensitiveAt(h.site)
	how := []string{}
	for _, w := range []struct {
		name string
		set  bool
	}{{"command", h.Command != nil}, {"unit", h.Unit != ""}, {"tcp", h.TCP != ""}, {"dbus_property", h.DBusProperty != nil}} {
		if w.set {
			how = append(how, w.name)
		}
	}
	if len(how) != 1 {
		l.errorf(h.def, "Invalid health check", "A health check has one of command, unit, tcp and dbus_property; this has %s.", orNone(how))
	}
	if h.Command != nil && len(h.Command) == 0 {
		l.diags.Errorf(h.attr("command"), "Empty command", "A command has at least the path of a program.")
	}
	if h.Retries < 0 {
		l.diags.Errorf(h.attr("retries"), "Invalid retries", "It must not be negative.")
	}
	return state.Check{Name: h.Name, Command: h.Command, Unit: h.Unit, TCP: h.TCP, DBusProperty: l.busProperty(h),
		Timeout: l.duration(h.Timeout, h.attr("timeout")), Retries: h.Retries, Source: rangeOf(h.def)}
}

// busProperty reads what a health check wants of a property on the bus.
func (l *loader) busProperty(h healthBlock) *state.BusProperty {
	if h.DBusProperty == nil {
		return nil
	}
	const form = "It is an object of service, path, interface and property, and of what that has to be, equals; %s."
	given, ok := h.DBusProperty.(map[string]any)
	if !ok {
		l.diags.Errorf(h.attr("dbus_property"), "Invalid dbus_property", form, "this is none")
		return nil
	}
	var p state.BusProperty
	for _, part := range []struct {
		name string
		into *string
	}{{"service", &p.Service}, {"path", &p.Path}, {"interface", &p.Interface}, {"property", &p.Property}} {
		if text, ok := given[part.name].(string); ok && text != "" {
			*part.into = text
			continue
		}
		l.diags.Errorf(h.attr("dbus_property"), "Invalid dbus_property", form, "here "+part.name+" is missing, or no string")
		return nil
	}
	equals, ok := given["equals"]
	if !ok || equals == nil {
		l.diags.Errorf(h.attr("dbus_property"), "Invalid dbus_property", form, "here equals is missing")
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains([]string{"service", "path", "interface", "property", "equals"}, name) {
			l.diags.Errorf(h.attr("dbus_property"), "Invalid dbus_property", form, name+" is no part of it")
			return nil
		}
	}
	var err error
	if p.Equals, err = json.Marshal(equals); err != nil {
		l.diags.Errorf(h.attr("dbus_property"), "Invalid dbus_property", "equals cannot be compared: %s.", err)
		return nil
	}
	return &p
}

func (l *loader) verify(v verifyBlock, names map[string]state.Range) state.Check {
	l.onlyOne("verify", v.Name, v.site, names)
	l.notSensitiveAt(v.site)
	if v.Command != nil && len(v.Command) == 0 {
		l.diags.Errorf(v.attr("command"), "Empty command", "A command has at least the path of a program.")
	}
	if v.ExpectExit < 0 || v.ExpectExit > 255 {
		l.diags.Errorf(v.attr("expect_exit"), "Invalid expect_exit", "An exit code is a number from 0 to 255.")
	}
	return state.Check{Name: v.Name, Command: v.Command, ExpectExit: v.ExpectExit,
		Timeout: l.duration(v.Timeout, v.attr("timeout")), Source: rangeOf(v.def)}
}

func (l *loader) duration(s string, at state.Range) time.Duration {
	if s == "" {
		return defaultTimeout
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		l.diags.Errorf(at, "Invalid timeout", "%q is no length of time; write it like \"10s\" or \"1m30s\".", s)
	}
	return d
}

// onlyOne reports a check whose name another of the node has.
func (l *loader) onlyOne(what, name string, s site, names map[string]state.Range) {
	if first, ok := names[name]; ok {
		l.errorf(s.def, "Duplicate "+what, "The node already has a %s %q, at %s.", what, name, placeText(first))
	}
	names[name] = rangeOf(s.def)
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " and ")
}
