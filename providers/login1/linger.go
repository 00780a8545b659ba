package login1

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/providers/internal/watch"
	"github.com/opdbus/opdbus/state"
)

// lingerDir has a file for each user who lingers. Logind makes and removes these, and reads them when it starts.
const lingerDir = "/var/lib/systemd/linger"

// A Linger is whether a user's services run without a session of the user's.
type Linger struct {
	User    string `hcl:"user,label" json:"user"`
	Enabled bool   `hcl:"enabled" json:"enabled"`

	// Found is what was there before; nil where the user did not linger.
	Found *Linger `json:"found,omitempty"`
}

// Key is the user's name.
func (l Linger) Key() string { return l.User }

// Thing says that a user lingers or not, whoever declares it.
func (l Linger) Thing() string { return "linger " + l.User }

// Same compares whether the user lingers.
func (l Linger) Same(other state.Object) bool {
	o, ok := other.(Linger)
	return ok && l.User == o.User && l.Enabled == o.Enabled
}

// Check finds names that no user has.
func (l Linger) Check(report func(attr, summary, detail string)) {
	if l.User == "" || strings.ContainsAny(l.User, "/:\n\x00") {
		report("", "Invalid user name", fmt.Sprintf("%q is no name of a user. The label is the user's name, such as alice.", l.User))
	}
}

// wasEnabled is what the user goes back to.
func (l Linger) wasEnabled() bool { return l.Found != nil && l.Found.Enabled }

// file is the name of a user's file, which cannot have every character of a user's name.
func file(name string) string { return strings.ReplaceAll(name, `\`, `\\`) }

// lingers is the provider of lingering.
type lingers struct {
	manager manager
	fs      hostfs.FS

	unanswered atomic.Bool // logind has not answered a call, and may carry it out later
}

// Live says that lingering is a state of a running logind, for state.Live.
func (*lingers) Live() {}

// Read reads one.
func (p *lingers) Read(ctx context.Context, want Linger) (*Linger, error) {
	lives, err := p.ReadAll(ctx, []state.Item[Linger]{{Want: want}})
	if err != nil {
		return nil, err
	}
	return lives[0], nil
}

// ReadAll reads all by listing one directory.
func (p *lingers) ReadAll(_ context.Context, items []state.Item[Linger]) ([]*Linger, error) {
	files, err := p.files()
	if err != nil {
		return nil, err
	}
	lives := make([]*Linger, len(items))
	for i, it := range items {
		// What is wanted and not there is absent; what is not wanted and not there is as it is wanted.
		if on := slices.Contains(files, file(it.Want.User)); on || !it.Want.Enabled {
			lives[i] = &Linger{User: it.Want.User, Enabled: on, Found: it.Want.Found}
		}
	}
	return lives, nil
}

// files are the names in lingerDir.
func (p *lingers) files() ([]string, error) {
	t, err := p.fs.Open()
	if err != nil {
		return nil, err
	}
	defer t.Close()
	names, err := t.Names(lingerDir)
	if err != nil && !hostfs.IsMissing(err) {
		return nil, fmt.Errorf("cannot read who lingers: %w", err)
	}
	slices.Sort(names)
	return names, nil
}

// Apply has logind let a user linger or not.
func (p *lingers) Apply(ctx context.Context, before, after *Linger) error {
	var name string
	var enabled bool
	switch {
	case after != nil:
		name, enabled = after.User, after.Enabled
	case before != nil:
		name, enabled = before.User, before.wasEnabled()
	default:
		return nil
	}
	if err := p.set(ctx, name, enabled); err != nil {
		return fmt.Errorf("cannot set whether %s lingers: %w", name, err)
	}
	return nil
}

func (p *lingers) set(ctx context.Context, name string, enabled bool) error {
	if err := p.settle(ctx); err != nil {
		return err
	}
	files, err := p.files()
	if err != nil || slices.Contains(files, file(name)) == enabled {
		return err
	}
	uid, err := lookUp(ctx, name)
	if err != nil {
		return err
	}
	const interactive = false
	err = p.manager.call(ctx, "SetUserLinger", []any{uid, enabled, interactive})
	var e *sysbus.Error
	if err != nil && (!errors.As(err, &e) || e.Name == sysbus.NoReply) {
		p.unanswered.Store(true)
	}
	return err
}

// settle waits until logind has done what it did not answer. It does what it is asked one after the other; until then, that a file is not
// there does not say that it will not come. Once opdbus has ended, logind refuses what it had asked for.
func (p *lingers) settle(ctx context.Context) error {
	if !p.unanswered.Swap(false) {
		return nil
	}
	err := p.manager.bus.Call(ctx, sysbus.Call{Service: service, Path: managerPath, Method: "org.freedesktop.DBus.Peer.Ping"})
	if err != nil {
		p.unanswered.Store(true)
	}
	return err
}

// lookUp finds a user's number. What this process cannot find by itself it asks getent(1) for, which knows of all sources of users.
func lookUp(ctx context.Context, name string) (uint32, error) {
	id := ""
	u, err := user.Lookup(name)
	var unknown user.UnknownUserError
	switch {
	case err == nil:
		id = u.Uid
	case errors.As(err, &unknown):
		out, err := exec.CommandContext(ctx, "getent", "passwd", "--", name).Output()
		fields := strings.Split(string(out), ":")
		if err != nil || len(fields) < 3 {
			return 0, fmt.Errorf("there is no user %q on this host", name)
		}
		id = fields[2]
	default:
		return 0, fmt.Errorf("cannot look up user %q: %w", name, err)
	}
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("user %q has the number %q, which is none", name, id)
	}
	return uint32(n), nil
}

// Owns says whether a user lingers, or does not, by what opdbus did.
func (*lingers) Owns(made *Linger, live Linger) bool {
	return made != nil && live.Enabled != made.wasEnabled()
}

// Claim keeps what is found.
func (*lingers) Claim(want, live Linger) (Linger, error) {
	want.Found = &Linger{User: live.User, Enabled: live.Enabled}
	return want, nil
}

// PlanAll keeps what was found when opdbus came.
func (*lingers) PlanAll(_ context.Context, items []state.Planned[Linger]) error {
	for i, it := range items {
		if it.Want != nil && it.Made != nil {
			items[i].Want.Found = it.Made.Found
		}
	}
	return nil
}

// Disturbs says what becomes of the user's services.
func (*lingers) Disturbs(before, after *Linger) []string {
	was, will, name := before != nil && before.Enabled, after != nil && after.Enabled, ""
	if before != nil {
		name = before.User
		will = will || after == nil && before.wasEnabled()
	}
	if after != nil {
		name = after.User
	}
	switch {
	case will && !was:
		return []string{"starts the user manager of " + name}
	case was && !will:
		return []string{"stops the user manager of " + name + " unless " + name + " is logged in"}
	}
	return nil
}

// List is the users who linger.
func (p *lingers) List(context.Context) ([]Linger, error) {
	files, err := p.files()
	if err != nil {
		return nil, err
	}
	all := make([]Linger, len(files))
	for i, name := range files {
		all[i] = Linger{User: strings.ReplaceAll(name, `\\`, `\`), Enabled: true}
	}
	return all, nil
}

// Watch hears of what happens to the users' files.
func (p *lingers) Watch(ctx context.Context, items []state.Item[Linger], tell func([]state.Addr, error)) error {
	paths := make([]watch.Path, len(items))
	for i, it := range items {
		paths[i] = watch.Path{Addr: it.Addr, Path: lingerDir + "/" + file(it.Want.User)}
	}
	return watch.Paths(ctx, p.fs.Root, paths, tell)
}
