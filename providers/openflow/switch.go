package openflow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/opdbus/opdbus/providers/internal/management"
	"github.com/opdbus/opdbus/providers/internal/ofctl"
	"github.com/opdbus/opdbus/providers/internal/ovsdb"
)

// vswitch is Open vSwitch: its database, for the bridges and the numbers of their ports, and its bridges' sockets in dir, for the flows.
type vswitch struct {
	client *ovsdb.Client
	dir    string

	mu     sync.Mutex
	parsed map[string]onSwitch // by version and text

	looked  sync.Once
	carries *management.Path
	unknown error
}

func newSwitch(client *ovsdb.Client, dir string) *vswitch {
	return &vswitch{client: client, dir: dir, parsed: map[string]onSwitch{}}
}

// A bridge is one of the switch's, with the numbers of its ports by their names.
type bridge struct {
	name    string
	version string // of OpenFlow
	ports   map[string]string

	standalone bool // the switch puts a flow in by itself
}

// versions are those in which bundles can be, the one that they came with first.
func versions() []string { return []string{"OpenFlow14", "OpenFlow15", "OpenFlow13"} }

// bridges are all of the switch's; none where there is no switch.
func (s *vswitch) bridges(ctx context.Context) (map[string]bridge, error) {
	return s.ask(ctx, s.client.Query)
}

// running are all bridges of a switch whose database's server has to run.
func (s *vswitch) running(ctx context.Context) (map[string]bridge, error) {
	return s.ask(ctx, s.client.Transact)
}

func (s *vswitch) ask(ctx context.Context, ask func(context.Context, string, ...ovsdb.Operation) ([]ovsdb.Result, error)) (map[string]bridge, error) {
	every := ovsdb.Every()
	found, err := ask(ctx, ovsdb.Database, ovsdb.Select("Bridge", every, "name", "ports", "protocols", "fail_mode", "controller"),
		ovsdb.Select("Port", every, "_uuid", "interfaces"), ovsdb.Select("Interface", every, "_uuid", "name", "ofport"))
	if err != nil {
		return nil, fmt.Errorf("cannot tell which bridges Open vSwitch has: %w", err)
	}
	type link struct{ name, number string }
	links, ports := map[any]link{}, map[any][]any{}
	if len(found) == 0 {
		return nil, nil
	}
	for _, r := range found[2].Rows {
		l := link{name: r["name"].(string)}
		if n, ok := r["ofport"].(int64); ok && n > 0 {
			l.number = strconv.FormatInt(n, 10)
		}
		links[r["_uuid"]] = l
	}
	for _, r := range found[1].Rows {
		ports[r["_uuid"]] = ovsdb.Elements(r["interfaces"])
	}
	all := map[string]bridge{}
	for _, r := range found[0].Rows {
		b := bridge{name: r["name"].(string), version: versions()[0], ports: map[string]string{}}
		b.standalone = r["fail_mode"] != "secure" && len(ovsdb.Elements(r["controller"])) == 0
		if enabled := ovsdb.Elements(r["protocols"]); len(enabled) > 0 {
			at := slices.IndexFunc(versions(), func(v string) bool { return slices.Contains(enabled, any(v)) })
			if at < 0 {
				b.version = ""
			} else {
				b.version = versions()[at]
			}
		}
		for _, p := range ovsdb.Elements(r["ports"]) {
			for _, i := range ports[p] {
				if l := links[i]; l.number != "" {
					b.ports[l.name] = l.number
				}
			}
		}
		all[b.name] = b
	}
	return all, nil
}

// number is that of a port in the switch's own words; empty for a name that none of the bridge's has.
func (b bridge) number(name string) string {
	name = strings.Trim(name, `"`)
	if _, err := strconv.ParseUint(name, 0, 32); err == nil || isReserved(name) {
		return name
	}
	if name == b.name {
		return "LOCAL"
	}
	return b.ports[name]
}

// lacks is a port that the flow names and the bridge does not have; empty for none.
func (b bridge) lacks(f Flow) (name string) {
	f.line(func(port string) string {
		n := b.number(port)
		if n == "" {
			name = port
		}
		return n
	})
	return name
}

// ofctl runs ovs-ofctl(8) on a bridge.
func (s *vswitch) ofctl(ctx context.Context, b bridge, input string, args ...string) (string, error) {
	if b.version == "" {
		return "", fmt.Errorf("bridge %s speaks none of %v, and flows are changed all at once in these only: add one to its protocols", b.name, versions())
	}
	return ofctl.Run(ctx, s.dir, b.name, b.version, input, args...)
}

// dump is what flows a bridge has.
func (s *vswitch) dump(ctx context.Context, b bridge) ([]onSwitch, error) {
	out, err := s.ofctl(ctx, b, "", "--no-stats", "dump-flows", ofctl.Bridge)
	if errors.Is(err, ofctl.ErrNotServed) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the flows of bridge %s: %w", b.name, err)
	}
	var all []onSwitch
	for line := range strings.Lines(out) {
		if f, ok := parseDumped(strings.TrimSpace(line)); ok {
			all = append(all, f)
		}
	}
	return all, nil
}

// parse gives flows, which name no port that the bridge lacks, in the words that dump has.
func (s *vswitch) parse(ctx context.Context, b bridge, wants []Flow) ([]onSwitch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var input bytes.Buffer
	var unknown []string
	lines := make([]string, len(wants))
	for i, w := range wants {
		lines[i] = w.line(b.number)
		if _, known := s.parsed[b.version+" "+lines[i]]; !known {
			unknown = append(unknown, lines[i])
			input.WriteString(lines[i] + "\n")
		}
	}
	if len(unknown) > 0 {
		out, err := s.ofctl(ctx, b, input.String(), "parse-flows", "-")
		if err != nil {
			return nil, fmt.Errorf("cannot read the flows declared for bridge %s: %w", b.name, s.which(ctx, b, wants, err))
		}
		n := 0
		for line := range strings.Lines(out) {
			f, ok := parseParsed(strings.TrimSpace(line))
			if ok && n < len(unknown) {
				s.parsed[b.version+" "+unknown[n]] = f
				n++
			}
		}
		if n != len(unknown) {
			return nil, fmt.Errorf("ovs-ofctl read %d of %d flows of bridge %s", n, len(unknown), b.name)
		}
	}
	all := make([]onSwitch, len(wants))
	for i, l := range lines {
		all[i] = s.parsed[b.version+" "+l]
	}
	return all, nil
}

// which names the first flow that cannot be read by itself.
func (s *vswitch) which(ctx context.Context, b bridge, wants []Flow, all error) error {
	from, to := 0, len(wants)
	for to-from > 1 {
		middle, input := (from+to)/2, bytes.Buffer{}
		for _, w := range wants[from:middle] {
			input.WriteString(w.line(b.number) + "\n")
		}
		if _, err := s.ofctl(ctx, b, input.String(), "parse-flows", "-"); err != nil {
			all, to = err, middle
		} else {
			from = middle
		}
	}
	if from < to {
		return fmt.Errorf("flow %q: %w", wants[from].Name, all)
	}
	return all
}
