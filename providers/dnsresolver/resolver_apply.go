package dnsresolver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/marked"
	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/state"
)

const (
	systemd      = "org.freedesktop.systemd1"
	systemdPath  = "/org/freedesktop/systemd1"
	resolvedUnit = "systemd-resolved.service"
	// restarting is how long resolved may take to be restarted.
	restarting = 30 * time.Second
)

// Apply writes what is wanted to where it belongs, or takes that away again.
func (p *resolvers) Apply(ctx context.Context, before, after *Resolver) error {
	if before == nil && after == nil {
		return nil
	}
	by, file, err := p.whose()
	switch {
	case err != nil:
	case after == nil || after.Foreign:
		err = p.putBack(ctx, by, file, before, after)
	case by == byResolved:
		err = p.tell(ctx, *after)
	case by == byNobody:
		err = p.write(*after, file)
		if err == nil {
			err = p.files.Remove(dropIn, nil) // of a time when resolved owned it
		}
	default:
		err = fmt.Errorf("%s is written by %s, which opdbus cannot tell of servers. %s", resolvConf, by, by.remedy())
	}
	if err != nil {
		return fmt.Errorf("cannot set the resolver: %w", err)
	}
	return nil
}

// text is the drop-in. Lists are emptied first, as resolved adds to what other files say.
func (r Resolver) text() string {
	var b strings.Builder
	b.WriteString("[Resolve]\n")
	list := func(key string, values []string) {
		if values != nil {
			b.WriteString(key + "=\n")
		}
		if len(values) > 0 {
			b.WriteString(key + "=" + strings.Join(values, " ") + "\n")
		}
	}
	list("DNS", r.Servers)
	list("Domains", r.Search)
	if r.DNSSEC != nil {
		b.WriteString("DNSSEC=" + *r.DNSSEC + "\n")
	}
	if r.DNSOverTLS != nil {
		b.WriteString("DNSOverTLS=" + *r.DNSOverTLS + "\n")
	}
	return b.String()
}

// tell writes the drop-in, and restarts resolved unless it has read it already.
func (p *resolvers) tell(ctx context.Context, after Resolver) error {
	file, err := p.files.Read(dropIn)
	if err != nil {
		return err
	}
	written := file.Ours && file.Text == after.text()
	if err := p.files.Write(dropIn, after.text()); err != nil {
		return err
	}
	if written {
		live, err := p.Read(ctx, after)
		if err != nil || live != nil && live.Same(after) {
			return err
		}
	}
	return p.resolved.restart(ctx)
}

// putBack takes away what opdbus has written: the drop-in, and of a plain file what it managed there.
func (p *resolvers) putBack(ctx context.Context, by owner, file marked.File, before, after *Resolver) error {
	var parents []string
	if before != nil {
		parents = before.Parents
	}
	told, err := p.files.Read(dropIn)
	if err != nil {
		return err
	}
	// Also where it is gone already: a cut may have come between that and the restart.
	stale := told.Ours
	if by == byResolved && !stale && before != nil {
		live := Resolver{Name: before.Name}
		if err := p.fromResolved(ctx, &live, before.onlyResolved()); err != nil {
			return err
		}
		live.refused = ""
		stale = live.Same(before.onlyResolved())
	}
	if err := p.files.Remove(dropIn, parents); err != nil {
		return err
	}
	if by == byResolved {
		if stale {
			return p.resolved.restart(ctx)
		}
		return nil
	}
	if !file.Ours {
		return nil
	}
	if before == nil || before.File == nil {
		if after == nil {
			return p.files.Remove(resolvConf, nil)
		}
		return p.files.Replace(resolvConf, after.within(file.Text), file.Owner)
	}
	was := *before.File
	text := was.Text
	if before.rest(file.Text) != before.rest(was.Text) { // somebody has edited what opdbus does not manage
		found := Resolver{}
		servers, search, options := fromFile(was.Text)
		if before.Servers != nil {
			found.Servers = servers
		}
		if before.Search != nil {
			found.Search = search
		}
		if before.Options != nil {
			found.Options = options
		}
		text = found.within(file.Text)
	}
	return p.files.Replace(resolvConf, text, hostfs.Attributes{UID: was.UID, GID: was.GID, Mode: was.Mode})
}

// onlyResolved is what of r resolved tells of.
func (r Resolver) onlyResolved() Resolver {
	r.Options = nil
	return r
}

// write writes the plain file.
func (p *resolvers) write(after Resolver, file marked.File) error {
	if why := after.unfit(); why != "" {
		return fmt.Errorf("%s is a plain file, which %s", resolvConf, why)
	}
	owner := file.Owner
	if !file.There {
		owner = hostfs.Attributes{UID: os.Geteuid(), GID: os.Getegid(), Mode: 0o644}
	}
	return p.files.Replace(resolvConf, marked.Mark+after.within(file.Text), owner)
}

// restart restarts resolved, or has it reload where it can do that (from systemd 257 on), and waits until it is there again. What it was told
// of links it keeps. Somebody who restarts it often by hand does not keep it from being restarted once more.
func (r resolved) restart(ctx context.Context) error {
	call := func(method string, result any, args ...any) error {
		c := sysbus.Call{Service: systemd, Path: systemdPath, Method: systemd + ".Manager." + method, Args: args}
		if result == nil {
			return r.bus.Call(ctx, c)
		}
		return r.bus.Call(ctx, c, result)
	}
	var unit, job dbus.ObjectPath
	if err := call("LoadUnit", &unit, resolvedUnit); err != nil {
		return fmt.Errorf("cannot restart %s: %w", resolvedUnit, err)
	}
	if err := call("ResetFailedUnit", nil, resolvedUnit); err != nil {
		return fmt.Errorf("cannot restart %s: %w", resolvedUnit, err)
	}
	if err := call("ReloadOrRestartUnit", &job, resolvedUnit, "replace"); err != nil {
		return fmt.Errorf("cannot restart %s: %w", resolvedUnit, err)
	}
	for end := time.Now().Add(restarting); ; {
		_, err := r.bus.Get(ctx, systemd, job, systemd+".Job", "State")
		var e *sysbus.Error
		if errors.As(err, &e) && e.Absent() {
			break
		}
		if err != nil {
			return fmt.Errorf("cannot wait for %s: %w", resolvedUnit, err)
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s has not been restarted within %s", resolvedUnit, restarting)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cannot wait for %s: %w", resolvedUnit, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
	v, err := r.bus.Get(ctx, systemd, unit, systemd+".Unit", "ActiveState")
	if err != nil {
		return fmt.Errorf("cannot tell whether %s runs: %w", resolvedUnit, err)
	}
	if is := fmt.Sprint(v.Value()); is != "active" {
		return fmt.Errorf("%s is %s after it was restarted; journalctl -u %s says why", resolvedUnit, is, resolvedUnit)
	}
	if _, err := r.bus.Get(ctx, service, managerPath, managerFace, "DNSSEC"); err != nil { // it may take a name on the bus a little later
		return fmt.Errorf("%s was restarted and does not answer: %w", resolvedUnit, err)
	}
	return nil
}

// Sync brings the files to disk.
func (p *resolvers) Sync(context.Context, state.Site, []state.ChangeOf[Resolver]) error {
	return p.files.Sync([]string{resolvConf, dropIn})
}
