package login1

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"
)

// A key is one of logind.conf(5): what its values are, and the property of the Manager that tells what is in force; empty where none does.
type key struct {
	property string
	form     form
}

// A form says what values mean: canonical is a value as the property has it, and an error says what is wrong with one.
type form interface {
	canonical(value string) (any, error)
	// text is a property's value as one would write it.
	text(property dbus.Variant) string
}

// keys are those of systemd 252. Logind ignores what it does not know, so that a slip would go unnoticed.
func keys() map[string]key {
	ignores := func(name string) string { return name + "IgnoreInhibited" }
	all := map[string]key{
		"NAutoVTs":                     {"NAutoVTs", number{32}},
		"ReserveVT":                    {"", number{32}},
		"KillUserProcesses":            {"KillUserProcesses", boolean{}},
		"KillOnlyUsers":                {"KillOnlyUsers", words{}},
		"KillExcludeUsers":             {"KillExcludeUsers", words{}},
		"IdleAction":                   {"IdleAction", action{}},
		"IdleActionSec":                {"IdleActionUSec", span{}},
		"InhibitDelayMaxSec":           {"InhibitDelayMaxUSec", span{}},
		"InhibitorsMax":                {"InhibitorsMax", number{64}},
		"SessionsMax":                  {"SessionsMax", number{64}},
		"UserStopDelaySec":             {"UserStopDelayUSec", span{}},
		"HoldoffTimeoutSec":            {"HoldoffTimeoutUSec", span{}},
		"RuntimeDirectorySize":         {"", size{}}, // the property is rounded to pages
		"RuntimeDirectoryInodesMax":    {"", size{}},
		"RemoveIPC":                    {"RemoveIPC", boolean{}},
		"StopIdleSessionSec":           {"StopIdleSessionUSec", span{}},
		ignores("LidSwitch"):           {"", boolean{}},
		"HandleLidSwitch":              {"HandleLidSwitch", action{}},
		"HandleLidSwitchDocked":        {"HandleLidSwitchDocked", action{}},
		"HandleLidSwitchExternalPower": {"HandleLidSwitchExternalPower", action{}},
	}
	for _, name := range []string{"PowerKey", "SuspendKey", "HibernateKey", "RebootKey"} {
		all["Handle"+name] = key{"Handle" + name, action{}}
		all["Handle"+name+"LongPress"] = key{"Handle" + name + "LongPress", action{}}
		all[ignores(name)] = key{"", boolean{}}
	}
	return all
}

type boolean struct{}

func (boolean) canonical(value string) (any, error) {
	switch strings.ToLower(value) {
	case "1", "yes", "y", "true", "t", "on":
		return true, nil
	case "0", "no", "n", "false", "f", "off":
		return false, nil
	}
	return nil, fmt.Errorf("%q is neither yes nor no", value)
}

func (boolean) text(v dbus.Variant) string {
	if v.Value() == true {
		return "yes"
	}
	return "no"
}

// A number has so many bits.
type number struct{ bits int }

func (n number) canonical(value string) (any, error) {
	u, err := strconv.ParseUint(value, 10, n.bits)
	if err != nil {
		return nil, fmt.Errorf("%q is no number", value)
	}
	if n.bits == 32 {
		return uint32(u), nil
	}
	return u, nil
}

func (number) text(v dbus.Variant) string { return fmt.Sprint(v.Value()) }

// words are a list with spaces between them, which property and file have in one order.
type words struct{}

func (words) canonical(value string) (any, error) {
	if strings.ContainsAny(value, `"'\`) {
		return nil, fmt.Errorf("%q has quotes, which names have not", value)
	}
	return strings.Join(strings.Fields(value), " "), nil
}

func (words) text(v dbus.Variant) string {
	list, _ := v.Value().([]string)
	return strings.Join(list, " ")
}

type action struct{}

func (action) canonical(value string) (any, error) {
	known := []string{"ignore", "poweroff", "reboot", "halt", "kexec", "suspend", "hibernate", "hybrid-sleep", "suspend-then-hibernate", "lock", "factory-reset"}
	if !slices.Contains(known, value) {
		return nil, fmt.Errorf("%q is none of %s", value, strings.Join(known, ", "))
	}
	return value, nil
}

func (action) text(v dbus.Variant) string { return fmt.Sprint(v.Value()) }

// A size is a number of bytes, or a share of the memory.
type size struct{}

func (size) canonical(value string) (any, error) {
	digits := strings.TrimRight(value, "KMGTPE%")
	if n, err := strconv.ParseFloat(digits, 64); err != nil || n < 0 || len(value)-len(digits) > 1 {
		return nil, fmt.Errorf("%q is no size: it is a number, with K, M, G, T or %% after it", value)
	}
	return value, nil
}

func (size) text(v dbus.Variant) string { return fmt.Sprint(v.Value()) }

// A span of time, in microseconds as the bus has it, is written as systemd.time(7) says: 30s, 5min 20s, infinity, or seconds.
type span struct{}

// units are microseconds.
func units() map[string]float64 {
	const s = 1e6
	all := map[string]float64{}
	for names, of := range map[string]float64{
		"us usec µs": 1, "ms msec": 1e3, "s sec second seconds": s, "m min minute minutes": 60 * s, "h hr hour hours": 3600 * s,
		"d day days": 86400 * s, "w week weeks": 7 * 86400 * s, "M month months": 2629800 * s, "y year years": 31557600 * s,
	} {
		for name := range strings.FieldsSeq(names) {
			all[name] = of
		}
	}
	all[""] = s
	return all
}

func (span) canonical(value string) (any, error) {
	rest := strings.TrimSpace(value)
	if rest == "infinity" {
		return uint64(math.MaxUint64), nil
	}
	wrong := fmt.Errorf("%q is no span of time: write it like 30s, 5min or infinity", value)
	if rest == "" {
		return nil, wrong
	}
	total := 0.0
	for known := units(); rest != ""; rest = strings.TrimSpace(rest) {
		digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789."))]
		n, err := strconv.ParseFloat(digits, 64)
		if err != nil {
			return nil, wrong
		}
		rest = strings.TrimSpace(rest[len(digits):])
		unit := rest[:len(rest)-len(strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyzMµ"))]
		of, ok := known[unit]
		if !ok {
			return nil, wrong
		}
		total += n * of
		rest = rest[len(unit):]
	}
	if total >= math.MaxUint64 {
		return nil, wrong
	}
	return uint64(math.Round(total)), nil
}

func (span) text(v dbus.Variant) string {
	us, _ := v.Value().(uint64)
	switch {
	case us == math.MaxUint64:
		return "infinity"
	case us%1e6 != 0:
		return strconv.FormatUint(us, 10) + "us"
	}
	return strconv.FormatUint(us/1e6, 10) + "s"
}
