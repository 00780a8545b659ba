package login1

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/state"
)

const (
	systemd     = "org.freedesktop.systemd1"
	systemdPath = "/org/freedesktop/systemd1"
	logindUnit  = "systemd-logind.service"
	// takesNote is how long logind may take until it has read its settings.
	takesNote = 3 * time.Second
)

func ignoreMissing(err error) error {
	if hostfs.IsMissing(err) {
		return nil
	}
	return fmt.Errorf("cannot list the settings of logind: %w", err)
}

// inForce is the properties of logind's Manager.
type inForce map[string]dbus.Variant

func (p *settings) inForce(ctx context.Context) (inForce, error) {
	all, err := p.manager.bus.GetAll(ctx, service, managerPath, managerFace)
	if err != nil {
		return nil, fmt.Errorf("cannot read the settings of logind: %w", err)
	}
	return all, nil
}

// amend puts into live what is in force of what is wanted and written, where that is something else.
func (f inForce) amend(live *Settings, want Settings) {
	known := keys()
	for name, value := range want.Values {
		k := known[name]
		v, told := f[k.property]
		if live.Values[name] != value || k.property == "" || !told {
			continue
		}
		wanted, err := k.form.canonical(value)
		if err != nil {
			continue
		}
		is, err := k.form.canonical(k.form.text(v))
		if err == nil && is != wanted {
			live.Values[name] = k.form.text(v)
		}
	}
}

// Apply cannot be: logind reads its settings once for all.
func (*settings) Apply(context.Context, *Settings, *Settings) error {
	return errors.New("settings are changed by ApplyAll")
}

// ApplyAll writes and removes files, has logind read them, and waits until it has. Logind reads them on SIGHUP; it knows no call for that.
func (p *settings) ApplyAll(ctx context.Context, _ state.Site, changes []state.ChangeOf[Settings]) error {
	var wanted []state.Item[Settings]
	for _, c := range changes {
		var err error
		switch {
		case c.After != nil:
			err = p.files.Write(c.After.path(), c.After.written())
			wanted = append(wanted, state.Item[Settings]{Addr: c.Addr, Want: *c.After})
		case c.Before != nil:
			err = p.files.Remove(c.Before.path(), c.Before.Parents)
		}
		if err != nil {
			return fmt.Errorf("cannot change settings %s of logind: %w", c.Addr.Key, err)
		}
	}
	// Also when all files were as they are to be: a cut may have come between them and this.
	err := p.manager.bus.Call(ctx, sysbus.Call{Service: systemd, Path: systemdPath, Method: systemd + ".Manager.KillUnit",
		Args: []any{logindUnit, "main", int32(unix.SIGHUP)}})
	if err != nil {
		return fmt.Errorf("cannot have logind read its settings: %w", err)
	}
	for end := time.Now().Add(takesNote); ; {
		lives, err := p.ReadAll(ctx, wanted)
		if err != nil {
			return err
		}
		settled := true
		for i, it := range wanted {
			settled = settled && lives[i] != nil && lives[i].Same(it.Want)
		}
		if settled || time.Now().After(end) { // what is not so by then is said by who reads it
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}
