package openflow

import (
	"strconv"
	"strings"
)

// An onSwitch is a flow in the words of ovs-ofctl(8), which it has of each flow one of.
type onSwitch struct {
	cookie         uint64
	table          int
	priority       int
	match, actions string
	idle, hard     int
	text           string // as a whole
}

// place is where on the switch it is.
type place struct {
	table, priority int
	match           string
}

func (f onSwitch) place() place { return place{f.table, f.priority, f.match} }
func (f onSwitch) ours() bool   { return f.cookie&cookieMask == cookiePrefix }

// isDefault says whether it is the one that a switch puts into a bridge by itself (fail_mode standalone).
func (f onSwitch) isDefault() bool {
	return f.cookie == 0 && f.place() == place{} && f.actions == "NORMAL" && f.idle == 0 && f.hard == 0
}

// parseDumped reads a line of dump-flows; ok is false for one that is no flow.
func parseDumped(line string) (f onSwitch, ok bool) {
	head, actions, ok := strings.Cut(line, "actions=")
	if !ok {
		return f, false
	}
	f = onSwitch{priority: defaultPriority, actions: actions, text: line}
	for _, word := range strings.Fields(head) {
		key, value, _ := strings.Cut(strings.TrimSuffix(word, ","), "=")
		switch key {
		case "cookie":
			f.cookie, _ = strconv.ParseUint(value, 0, 64)
		case "table":
			f.table, _ = strconv.Atoi(value)
		case "idle_timeout":
			f.idle, _ = strconv.Atoi(value)
		case "hard_timeout":
			f.hard, _ = strconv.Atoi(value)
		case "send_flow_rem", "check_overlap", "reset_counts", "no_packet_counts", "no_byte_counts", "importance":
		default:
			f.matches(word)
		}
	}
	return f, true
}

// matches reads the priority and the match, which are one word.
func (f *onSwitch) matches(word string) {
	if rest, has := strings.CutPrefix(word, "priority="); has {
		priority, match, _ := strings.Cut(rest, ",")
		f.priority, _ = strconv.Atoi(priority)
		word = match
	}
	f.match = strings.TrimSuffix(word, ",")
}

// parseParsed reads a line of parse-flows; ok is false for one that is no flow.
func parseParsed(line string) (f onSwitch, ok bool) {
	_, line, ok = strings.Cut(line, ": ADD ")
	head, actions, more := strings.Cut(line, "actions=")
	if !ok || !more {
		return f, false
	}
	f = onSwitch{priority: defaultPriority, actions: actions}
	for _, word := range strings.Fields(head) {
		key, value, _ := strings.Cut(word, ":")
		n, err := strconv.ParseUint(value, 0, 64)
		switch {
		case err == nil && key == "cookie":
			f.cookie = n
		case err == nil && key == "table":
			f.table = int(n)
		case err == nil && key == "idle":
			f.idle = int(n)
		case err == nil && key == "hard":
			f.hard = int(n)
		default:
			f.matches(word)
		}
	}
	return f, true
}

// described is a flow on the switch as an object, of whose name nothing is known; port gives names of ports.
func (f onSwitch) described(bridge string, port func(string) string) Flow {
	match := map[string]string{}
	for _, part := range strings.Split(f.match, ",") {
		if field, value, _ := strings.Cut(part, "="); field != "" {
			if field == "in_port" {
				value = port(value)
			}
			match[field] = value
		}
	}
	live := Flow{Name: bridge + " " + strings.TrimSuffix(strings.Join([]string{"table=" + strconv.Itoa(f.table), "priority=" + strconv.Itoa(f.priority), f.match}, ","), ","),
		Bridge: bridge, Table: f.table, Priority: f.priority, Match: match, Actions: actionsOf(f.actions), IdleTimeout: f.idle, HardTimeout: f.hard}
	if !f.ours() {
		live.Theirs = f.text
	}
	return live
}

// actionsOf are the actions in a text, which commas separate but where they are in parentheses.
func actionsOf(text string) []string {
	var all []string
	depth, from := 0, 0
	for i, c := range text {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			all, from = append(all, text[from:i]), i+1
		}
	}
	return append(all, text[from:])
}
