package login1

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
)

// What is held back for the length of a run where no block says otherwise.
const (
	defaultWhat = "shutdown:sleep"
	defaultMode = "block"
)

// Inhibit holds back shutdown and sleep until release is called, or the process ends. Why is told to whoever asks for either.
func Inhibit(ctx context.Context, bus *sysbus.Bus, why string) (release func(), err error) {
	return Inhibitor{}.Take(ctx, bus, why)
}

// An Inhibitor is what is held back for the length of a run. On the host it is there only while one is under way.
type Inhibitor struct {
	Name string  `hcl:"name,label" json:"name"`
	What *string `hcl:"what,optional" json:"what,omitempty"` // words of Inhibit(), with colons between them
	Mode *string `hcl:"mode,optional" json:"mode,omitempty"` // block or delay

	// Who and Why are what others say who hold something back.
	Who string `json:"who,omitempty"`
	Why string `json:"why,omitempty"`
}

// Key is the block's label.
func (i Inhibitor) Key() string { return i.Name }

// Take takes the inhibitor, as Inhibit does.
func (i Inhibitor) Take(ctx context.Context, bus *sysbus.Bus, why string) (release func(), err error) {
	what, mode := defaultWhat, defaultMode
	if i.What != nil {
		what = *i.What
	}
	if i.Mode != nil {
		mode = *i.Mode
	}
	var held dbus.UnixFD
	if err := (manager{bus}).call(ctx, "Inhibit", []any{what, "opdbus", why, mode}, &held); err != nil {
		return nil, fmt.Errorf("cannot hold back %s: %w", strings.ReplaceAll(what, ":", " and "), err)
	}
	return sync.OnceFunc(func() { _ = unix.Close(int(held)) }), nil // nothing was written to it
}

// Check finds what logind does not know.
func (i Inhibitor) Check(report func(attr, summary, detail string)) {
	known := []string{"shutdown", "sleep", "idle", "handle-power-key", "handle-suspend-key", "handle-hibernate-key", "handle-reboot-key", "handle-lid-switch"}
	if i.What != nil {
		for word := range strings.SplitSeq(*i.What, ":") {
			if !slices.Contains(known, word) {
				report("what", "Unknown thing to inhibit", fmt.Sprintf("%q is none of %s. Several are written with colons between them.", word, strings.Join(known, ", ")))
			}
		}
	}
	if i.Mode != nil && *i.Mode != "block" && *i.Mode != "delay" {
		report("mode", "Unknown mode", fmt.Sprintf("%q is neither block nor delay.", *i.Mode))
	}
}

// inhibitors is the provider of inhibitors. It changes nothing: the run takes them.
type inhibitors struct{ manager manager }

// Live says that logind has to run for this, for state.Live.
func (*inhibitors) Live() {}

// Read says that it is as wanted: it is so whenever there is a run.
func (*inhibitors) Read(_ context.Context, want Inhibitor) (*Inhibitor, error) { return &want, nil }

// Apply has nothing to do.
func (*inhibitors) Apply(context.Context, *Inhibitor, *Inhibitor) error { return nil }

// Owns says that nothing of it is on the host which could be deleted.
func (*inhibitors) Owns(*Inhibitor, Inhibitor) bool { return false }

// Claim takes it as it is wanted.
func (*inhibitors) Claim(want, _ Inhibitor) (Inhibitor, error) { return want, nil }

// Attend holds back, for the length of a run, what the blocks say; shutdown and sleep where there is none.
func (p *inhibitors) Attend(ctx context.Context, declared []Inhibitor, why string) (leave func(), err error) {
	if len(declared) == 0 {
		return Inhibit(ctx, p.manager.bus, why)
	}
	var releases []func()
	leave = func() {
		for _, release := range releases {
			release()
		}
	}
	for _, i := range declared {
		release, err := i.Take(ctx, p.manager.bus, why)
		if err != nil {
			leave()
			return nil, err
		}
		releases = append(releases, release)
	}
	return leave, nil
}

// List is what is held back now, by whomever.
func (p *inhibitors) List(ctx context.Context) ([]Inhibitor, error) {
	var held []struct {
		What, Who, Why, Mode string
		UID, PID             uint32
	}
	if err := p.manager.call(ctx, "ListInhibitors", nil, &held); err != nil {
		return nil, fmt.Errorf("cannot list what is inhibited: %w", err)
	}
	all := make([]Inhibitor, len(held))
	for i, h := range held {
		all[i] = Inhibitor{Name: fmt.Sprintf("%s-%d", h.Who, h.PID), What: &h.What, Mode: &h.Mode, Who: h.Who, Why: h.Why}
	}
	slices.SortFunc(all, func(a, b Inhibitor) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}
