package dbus

import "strings"

// isService says whether a name is a well-known name of a bus.
func isService(name string) bool { return isDotted(name, "-") }

// isInterface says whether a name is that of an interface.
func isInterface(name string) bool { return isDotted(name, "") }

// isDotted says whether a name has two elements or more, of letters, digits, underscores and what else is allowed, none of which begins
// with a digit, and 255 characters at most.
func isDotted(name, also string) bool {
	elements := strings.Split(name, ".")
	for _, e := range elements {
		if !isElement(e, also) {
			return false
		}
	}
	return len(elements) > 1 && len(name) <= 255
}

// isMember says whether a name is that of a method or a property.
func isMember(name string) bool { return len(name) <= 255 && isElement(name, "") }

func isElement(e, also string) bool {
	if e == "" || e[0] >= '0' && e[0] <= '9' {
		return false
	}
	for i := range len(e) {
		c := e[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || strings.IndexByte(also, c) >= 0) {
			return false
		}
	}
	return true
}
