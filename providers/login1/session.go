package login1

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/state"
)

// A SessionRule says which sessions there are to be none of: those that match all the attributes that are set.
type SessionRule struct {
	Name  string  `hcl:"name,label" json:"name"`
	User  *string `hcl:"user,optional" json:"user,omitempty"` // a name or a number
	TTY   *string `hcl:"tty,optional" json:"tty,omitempty"`   // such as tty1 or pts/0
	Seat  *string `hcl:"seat,optional" json:"seat,omitempty"`
	Class *string `hcl:"class,optional" json:"class,omitempty"`
	// Allowed switches the rule off.
	Allowed *bool `hcl:"allowed,optional" json:"allowed,omitempty"`

	// Sessions are those that match, such as "3 of alice on tty1", in the order of their numbers.
	Sessions []string `json:"sessions,omitempty"`

	// live says that Sessions are there now, rather than that they once were.
	live bool
}

// Key is the block's label.
func (r SessionRule) Key() string { return r.Name }

func (r SessionRule) allowed() bool { return r.Allowed != nil && *r.Allowed }

// Same compares the rule, and the sessions. Sessions that once were and have been ended cannot be brought back: whatever is there now is as
// good as those when a run is taken back.
func (r SessionRule) Same(other state.Object) bool {
	o, ok := other.(SessionRule)
	if !ok || r.Name != o.Name || r.allowed() != o.allowed() || !same(r.User, o.User) || !same(r.TTY, o.TTY) || !same(r.Seat, o.Seat) || !same(r.Class, o.Class) {
		return false
	}
	if r.live == o.live {
		return slices.Equal(r.Sessions, o.Sessions)
	}
	now, then := r, o
	if o.live {
		now, then = o, r
	}
	return len(then.Sessions) > 0 || len(now.Sessions) == 0
}

func same[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// Check finds rules that would end what nobody named.
func (r SessionRule) Check(report func(attr, summary, detail string)) {
	if r.User == nil && r.TTY == nil && r.Seat == nil && r.Class == nil {
		report("", "A session rule without a selector", "It would end every session there is. Set at least one of user, tty, seat and class.")
	}
	for _, a := range []struct {
		name  string
		value *string
	}{{"user", r.User}, {"tty", r.TTY}, {"seat", r.Seat}, {"class", r.Class}} {
		if a.value != nil && *a.value == "" {
			report(a.name, "An empty selector", "An empty "+a.name+" would match sessions that have none. Take it out, or name one.")
		}
	}
	classes := []string{"user", "user-early", "user-incomplete", "user-light", "greeter", "lock-screen", "background", "background-light"}
	if r.Class != nil && *r.Class != "" && !slices.Contains(classes, *r.Class) {
		report("class", "Unknown class of sessions", fmt.Sprintf("%q is none of %s. Sessions of class manager belong to systemd and are never ended.", *r.Class, strings.Join(classes, ", ")))
	}
}

// sessions is the provider of session rules.
type sessions struct{ manager manager }

// Live says that sessions are states of a running logind, for state.Live.
func (*sessions) Live() {}

// Read reads which sessions match one rule.
func (p *sessions) Read(ctx context.Context, want SessionRule) (*SessionRule, error) {
	lives, err := p.ReadAll(ctx, []state.Item[SessionRule]{{Want: want}})
	if err != nil {
		return nil, err
	}
	return lives[0], nil
}

// ReadAll reads which sessions match, by one call and one for each session that may.
func (p *sessions) ReadAll(ctx context.Context, items []state.Item[SessionRule]) ([]*SessionRule, error) {
	found, err := p.manager.survey(ctx)
	if err != nil {
		return nil, err
	}
	lives := make([]*SessionRule, len(items))
	for i, it := range items {
		live := it.Want
		live.Sessions, live.live = nil, true
		if !live.allowed() {
			matching, err := found.match(ctx, live)
			if err != nil {
				return nil, err
			}
			for _, s := range matching {
				live.Sessions = append(live.Sessions, s.String())
			}
		}
		lives[i] = &live
	}
	return lives, nil
}

// Owns says that no session is of opdbus' making. So a rule that is no longer declared is forgotten, and nothing else happens.
func (*sessions) Owns(*SessionRule, SessionRule) bool { return false }

// Claim takes the rule as it is wanted.
func (*sessions) Claim(want, _ SessionRule) (SessionRule, error) { return want, nil }

// ending are the sessions that a change ends.
func ending(before, after *SessionRule) []string {
	if before == nil || after == nil || after.allowed() || len(after.Sessions) > 0 {
		return nil
	}
	return before.Sessions
}

// Disturbs says which sessions are ended.
func (*sessions) Disturbs(before, after *SessionRule) []string {
	var ends []string
	for _, s := range ending(before, after) {
		ends = append(ends, "ends session "+s)
	}
	return ends
}

// Irreversible says that of sessions that are ended.
func (*sessions) Irreversible(before, after *SessionRule) string {
	if len(ending(before, after)) == 0 {
		return ""
	}
	return "a session that has ended cannot be brought back"
}

// Explain says which sessions are there in spite of all.
func (*sessions) Explain(_ context.Context, _ SessionRule, live *SessionRule) string {
	if live == nil || len(live.Sessions) == 0 {
		return ""
	}
	return "session " + strings.Join(live.Sessions, ", session ") + " was opened meanwhile"
}

// Accept switches the rule off, which is what it means that its sessions are to stay.
func (*sessions) Accept(context.Context, *state.Node, state.Item[SessionRule], SessionRule) (state.Acceptance, error) {
	return state.Acceptance{Set: []state.Setting{{Name: "allowed", Value: true}}}, nil
}

// List is the sessions there are, each as a rule that allows it.
func (p *sessions) List(ctx context.Context) ([]SessionRule, error) {
	found, err := p.manager.survey(ctx)
	if err != nil {
		return nil, err
	}
	var all []SessionRule
	for i := range found.sessions {
		s := &found.sessions[i]
		if there, err := found.complete(ctx, s); err != nil {
			return nil, err
		} else if !there {
			continue
		}
		allowed := true
		rule := SessionRule{Name: s.ID, User: &s.User, Class: &s.class, Allowed: &allowed}
		if s.tty != "" {
			rule.TTY = &s.tty
		}
		if s.Seat != "" {
			rule.Seat = &s.Seat
		}
		all = append(all, rule)
	}
	return all, nil
}

// Watch hears of sessions that are opened and ended. Which rules they match is for who reads them to find out.
func (p *sessions) Watch(ctx context.Context, items []state.Item[SessionRule], tell func([]state.Addr, error)) error {
	heard, err := p.manager.bus.Subscribe(ctx, sysbus.Match{Sender: service, Path: managerPath, Interface: managerFace})
	if err != nil {
		return fmt.Errorf("cannot listen to logind: %w", err)
	}
	addrs := make([]state.Addr, len(items))
	for i, it := range items {
		addrs[i] = it.Addr
	}
	go func() {
		defer heard.Close()
		for {
			select {
			case <-ctx.Done():
				return
			case s, open := <-heard.C:
				if !open {
					tell(nil, fmt.Errorf("cannot hear what happens to sessions: %w", heard.Err()))
					return
				}
				if s.Name == managerFace+".SessionNew" || s.Name == managerFace+".SessionRemoved" {
					tell(addrs, nil)
				}
			}
		}
	}()
	return nil
}
