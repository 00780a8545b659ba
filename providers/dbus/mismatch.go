package dbus

import (
	"fmt"
	"strings"
)

// A mismatch is a value that is none of the type that is wanted.
type mismatch struct {
	at     string // where in the whole value, such as [2].name
	wanted string
	given  string
	why    string
}

func (m *mismatch) Error() string {
	where := ""
	if m.at != "" {
		where = " at " + strings.TrimPrefix(m.at, ".")
	}
	why := ""
	if m.why != "" {
		why = ": " + m.why
	}
	return fmt.Sprintf("wanted%s is %s, given is %s%s", where, m.wanted, m.given, why)
}

// shown says what a value is, and never the value: it may be a secret.
func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "a bool"
	case string:
		return fmt.Sprintf("a string of %d bytes", len(v))
	case float64:
		return "a number"
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	}
	return "an object"
}
