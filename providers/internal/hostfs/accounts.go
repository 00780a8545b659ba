package hostfs

import (
	"bufio"
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Accounts are the users and groups that a root knows by name: those of its /etc/passwd and /etc/group.
type Accounts struct{ users, groups names }

type names struct {
	ids  map[string]int
	what string
}

// root is the one name that needs no file, in roots that have none yet.
const root = "root"

// Accounts reads the users and groups below the root. A file that is missing names nobody.
func (t *Tree) Accounts() (*Accounts, error) {
	users, err := t.names("/etc/passwd", "user")
	if err != nil {
		return nil, err
	}
	groups, err := t.names("/etc/group", "group")
	if err != nil {
		return nil, err
	}
	return &Accounts{users, groups}, nil
}

func (t *Tree) names(file, what string) (names, error) {
	n := names{ids: map[string]int{root: 0}, what: what}
	data, err := t.ReadFile(file, 16<<20)
	if IsMissing(err) {
		return n, nil
	}
	if err != nil {
		return n, fmt.Errorf("cannot read the %ss: %w", what, err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) < 3 {
			continue
		}
		if id, err := strconv.Atoi(fields[2]); err == nil && fields[0] != root {
			n.ids[fields[0]] = id
		}
	}
	return n, nil
}

// UID finds a user by name or number; the empty name is root.
func (a *Accounts) UID(user string) (int, error) { return a.users.find(user) }

// GID finds a group by name or number; the empty name is root.
func (a *Accounts) GID(group string) (int, error) { return a.groups.find(group) }

// User names a uid, by its number where it has no name.
func (a *Accounts) User(uid int) string { return a.users.name(uid) }

// Group names a gid, by its number where it has no name.
func (a *Accounts) Group(gid int) string { return a.groups.name(gid) }

func (n names) find(name string) (int, error) {
	if name == "" {
		return 0, nil
	}
	if id, ok := n.ids[name]; ok {
		return id, nil
	}
	// The largest number stands for "leave it" in chown, and has no owner.
	if id, err := strconv.ParseUint(name, 10, 32); err == nil && id < 1<<32-1 {
		return int(id), nil
	}
	return 0, fmt.Errorf("there is no %s %q", n.what, name)
}

func (n names) name(id int) string {
	found := ""
	for name, i := range n.ids {
		if i == id && (found == "" || name < found) {
			found = name
		}
	}
	if id == 0 {
		return root
	}
	if found == "" {
		return strconv.Itoa(id)
	}
	return found
}

// ParseMode reads a mode in octal notation, such as "0644".
func ParseMode(s string) (uint32, error) {
	m, err := strconv.ParseUint(s, 8, 32)
	if err != nil || m > 0o7777 || len(s) < 3 {
		return 0, fmt.Errorf("%q is not a mode; write it in octal, such as \"0644\"", s)
	}
	return uint32(m), nil
}

// FormatMode writes a mode as ParseMode reads it.
func FormatMode(mode uint32) string { return fmt.Sprintf("%04o", mode&0o7777) }
