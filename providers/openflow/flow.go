package openflow

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/state"
)

// A Flow is what a bridge does with the packets that match.
type Flow struct {
	Name        string            `json:"name"` // the bridge's name and its own
	Bridge      string            `json:"bridge"`
	Table       int               `json:"table"`
	Priority    int               `json:"priority"`
	Match       map[string]string `json:"match"` // by fields; of a protocol's name, nothing
	Actions     []string          `json:"actions"`
	CookieNote  string            `json:"cookie_note,omitempty"`
	IdleTimeout int               `json:"idle_timeout,omitempty"` // seconds
	HardTimeout int               `json:"hard_timeout,omitempty"` // seconds

	// Found is what stood in the place before, as ovs-ofctl(8) writes it: a flow of somebody else's with the same table, priority and match.
	Found string `json:"found,omitempty"`

	// Theirs is the flow as ovs-ofctl(8) writes it, where it is not opdbus'.
	Theirs string `json:"theirs,omitempty"`

	takes   bool   // it may stand in the place of somebody else's
	blocked string // what is on the switch where it is to be, as ovs-ofctl(8) writes it
}

// defaultPriority is that of a flow that says none (ovs-ofctl(8)).
const defaultPriority = 32768

// The cookies of opdbus' flows have these bits in the mask.
const (
	cookiePrefix uint64 = 0x6f70 << 48 // "op"
	cookieMask   uint64 = 0xffff << 48
)

// Key is the bridge's name and the flow's own.
func (f Flow) Key() string { return f.Name }

// cookie is what the flow is known by on the switch.
func (f Flow) cookie() uint64 {
	sum := sha256.Sum256([]byte(f.Name))
	return cookiePrefix | binary.BigEndian.Uint64(sum[:8])&^cookieMask
}

// Same compares what is managed.
func (f Flow) Same(other state.Object) bool {
	o, ok := other.(Flow)
	return ok && f.Name == o.Name && f.Bridge == o.Bridge && f.Table == o.Table && f.Priority == o.Priority && maps.Equal(f.Match, o.Match) &&
		slices.Equal(f.Actions, o.Actions) && f.IdleTimeout == o.IdleTimeout && f.HardTimeout == o.HardTimeout && (f.Theirs == "") == (o.Theirs == "")
}

// Check finds what no flow can be, and what the switch would take for something else than it says.
func (f Flow) Check(report func(attr, summary, detail string)) {
	within := func(attr string, value, most int) {
		if value < 0 || value > most {
			report(attr, "Invalid "+attr, fmt.Sprintf("%d is not within 0 and %d.", value, most))
		}
	}
	within("table", f.Table, 254)
	within("priority", f.Priority, 1<<16-1)
	within("idle_timeout", f.IdleTimeout, 1<<16-1)
	within("hard_timeout", f.HardTimeout, 1<<16-1)
	if len(f.Actions) == 0 {
		report("actions", "Missing actions", `A flow has to say what becomes of the packets; ["drop"] drops them.`)
	}
	for _, a := range f.Actions {
		if strings.TrimSpace(a) == "" || strings.ContainsAny(a, "\n#") {
			report("actions", "Invalid action", fmt.Sprintf("%q is no action of ovs-ofctl(8), such as normal, drop or output:veth0.", a))
		}
	}
	checkMatch(f.Match, report)
}

// matched is the match as ovs-ofctl(8) has it, with the protocols first, as the fields that need them have to come after them.
func (f Flow) matched(port func(string) string) string {
	var names, fields []string
	for _, field := range slices.Sorted(maps.Keys(f.Match)) {
		switch value := f.Match[field]; {
		case isProtocol(field):
			names = append(names, field)
		case field == "in_port":
			fields = append(fields, "in_port="+port(value))
		default:
			fields = append(fields, field+"="+value)
		}
	}
	slices.SortStableFunc(fields, func(a, b string) int { return fieldRank(a) - fieldRank(b) })
	return strings.Join(append(names, fields...), ",")
}

// line is the flow as ovs-ofctl(8) reads it; port gives the numbers of ports.
func (f Flow) line(port func(string) string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "cookie=%#x,%s", f.cookie(), f.place(port))
	if f.IdleTimeout > 0 {
		fmt.Fprintf(&b, ",idle_timeout=%d", f.IdleTimeout)
	}
	if f.HardTimeout > 0 {
		fmt.Fprintf(&b, ",hard_timeout=%d", f.HardTimeout)
	}
	actions := make([]string, len(f.Actions))
	for i, a := range f.Actions {
		actions[i] = numbered(a, port)
	}
	return b.String() + " actions=" + strings.Join(actions, ",")
}

// place is where on the switch the flow is, as ovs-ofctl(8) reads it.
func (f Flow) place(port func(string) string) string {
	at := fmt.Sprintf("table=%d,priority=%d", f.Table, f.Priority)
	if m := f.matched(port); m != "" {
		at += "," + m
	}
	return at
}
