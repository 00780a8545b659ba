package net

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state"
)

// A Sysctl is a setting of the running kernel.
type Sysctl struct {
	Name  string `hcl:"name,label" json:"name"`
	Value string `hcl:"value" json:"value"`

	// Found is what was there before.
	Found *Sysctl `json:"found,omitempty"`
}

// Key is the setting's name as it is written.
func (s Sysctl) Key() string { return s.Name }

// Thing is the setting however its name is written.
func (s Sysctl) Thing() string { return "sysctl " + s.path() }

// Same compares values: where there are several, whatever separates them.
func (s Sysctl) Same(other state.Object) bool {
	o, ok := other.(Sysctl)
	return ok && s.path() == o.path() && fields(s.Value) == fields(o.Value)
}

func fields(value string) string { return strings.Join(strings.Fields(value), " ") }

// path is where the setting is below /proc/sys (sysctl.d(5)): the first separator of the name says which of the two separates, and
// the other one is a part of a name then, as the dot in that of a VLAN's link.
func (s Sysctl) path() string {
	if at := strings.IndexAny(s.Name, "./"); at >= 0 && s.Name[at] == '.' {
		return strings.Map(func(r rune) rune {
			switch r {
			case '.':
				return '/'
			case '/':
				return '.'
			}
			return r
		}, s.Name)
	}
	return s.Name
}

// Check finds names that are none.
func (s Sysctl) Check(report func(attr, summary, detail string)) {
	if path := s.path(); !filepath.IsLocal(path) || filepath.Clean(path) != path || !strings.Contains(path, "/") || strings.ContainsAny(path, "\x00\n") {
		report("", "Invalid name of a sysctl", fmt.Sprintf("%q is no name of a setting in /proc/sys. Write it like net.ipv4.ip_forward, and a name in it that has a dot like net.ipv4.conf.eth0/100.rp_filter.", s.Name))
	}
	if strings.ContainsAny(s.Value, "\x00\n") {
		report("value", "Invalid value of a sysctl", "It is one line.")
	}
}

// sysctls is the provider of settings in a directory.
type sysctls struct{ dir string }

// Live says that a setting is a state of the running kernel, for state.Live.
func (*sysctls) Live() {}

// Volatile says that they go when the host boots, for state.Volatile.
func (*sysctls) Volatile() {}

func (p *sysctls) file(s Sysctl) string { return filepath.Join(p.dir, s.path()) }

// Read reads one.
func (p *sysctls) Read(_ context.Context, want Sysctl) (*Sysctl, error) {
	data, err := os.ReadFile(p.file(want))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("cannot read sysctl %s: it can only be written, which tells nothing of what it is", want.Name)
	case err != nil:
		return nil, fmt.Errorf("cannot read sysctl %s: %w", want.Name, err)
	}
	return &Sysctl{Name: want.Name, Value: fields(string(data)), Found: want.Found}, nil
}

// Apply sets it, and puts back what was found where it is no longer wanted.
func (p *sysctls) Apply(ctx context.Context, before, after *Sysctl) error {
	if after == nil {
		if before == nil || before.Found == nil {
			return nil
		}
		after = before.Found
	}
	live, err := p.Read(ctx, *after)
	if err != nil {
		return err
	}
	if live != nil && live.Same(*after) {
		return nil
	}
	err = write(p.file(*after), after.Value+"\n")
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cannot set sysctl %s: the kernel has no such setting; the module or the link that it belongs to may be missing", after.Name)
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("cannot set sysctl %s: the kernel does not take %q for it", after.Name, after.Value)
	}
	return fmt.Errorf("cannot set sysctl %s: %w", after.Name, err)
}

// Owns says whether the setting is no longer what was found.
func (*sysctls) Owns(made *Sysctl, live Sysctl) bool {
	return made != nil && (made.Found == nil || !live.Same(*made.Found))
}

// Claim keeps what is found.
func (*sysctls) Claim(want, live Sysctl) (Sysctl, error) {
	want.Found = &Sysctl{Name: live.Name, Value: live.Value}
	return want, nil
}

// PlanAll keeps what was found when opdbus came.
func (*sysctls) PlanAll(_ context.Context, items []state.Planned[Sysctl]) error {
	for i, it := range items {
		if it.Want != nil && it.Made != nil {
			items[i].Want.Found = it.Made.Found
		}
	}
	return nil
}

// write writes a setting. One that is not there is not made.
func write(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}
