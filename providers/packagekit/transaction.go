package packagekit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
)

const (
	service     = "org.freedesktop.PackageKit"
	object      = "/org/freedesktop/PackageKit"
	transaction = service + ".Transaction"

	// silence is how long nothing may be heard of a transaction before PackageKit is asked whether it is there still.
	silence = 10 * time.Second
	// standstill is how long a transaction may do nothing that is heard of: a maintainer script says nothing while it runs.
	standstill = 30 * time.Minute
	// farewell is how long a transaction may take to end after ctx has: it may be waiting for a lock, 10 s, or setting packages up.
	farewell = 5 * time.Minute
	// glance is how often it is looked whether a transaction can be cancelled yet.
	glance = 500 * time.Millisecond
)

// packageKit is the service.
type packageKit struct {
	bus      *sysbus.Bus
	dpkg     dpkg
	progress func(text string)
}

func (k packageKit) tell(text string) {
	if k.progress != nil && text != "" {
		k.progress(text)
	}
}

// run makes a transaction of one method and waits for its end. A transaction that ctx ends is cancelled, and waited for. While dpkg is at
// work there is nothing to be cancelled: PackageKit would give up what dpkg goes on with.
func (k packageKit) run(ctx context.Context, method string, args ...any) (*answer, error) {
	owners, err := k.bus.Subscribe(ctx, sysbus.Match{Sender: "org.freedesktop.DBus", Member: "NameOwnerChanged", Arg0: service})
	if err != nil {
		return nil, err
	}
	defer owners.Close()
	var path dbus.ObjectPath
	if err := k.bus.Call(ctx, sysbus.Call{Service: service, Path: object, Method: service + ".CreateTransaction"}, &path); err != nil {
		return nil, err
	}
	// All is heard that the transaction says, as it is listened to before it is told what to do.
	signals, err := k.bus.Subscribe(ctx, sysbus.Match{Sender: service, Path: path})
	if err != nil {
		return nil, err
	}
	defer signals.Close()
	t := &running{packageKit: k, path: path, method: method, signals: signals, owners: owners}
	if err := t.call(ctx, "SetHints", []string{"interactive=false", "background=false"}); err != nil {
		return nil, err
	}
	if err := t.call(ctx, method, args...); err != nil {
		return nil, err
	}
	return t.wait(ctx)
}

// A running transaction is one whose method has been called.
type running struct {
	packageKit
	path            dbus.ObjectPath
	method          string
	signals, owners *sysbus.Subscription
	answer          answer
}

func (t *running) call(ctx context.Context, method string, args ...any) error {
	return t.bus.Call(ctx, sysbus.Call{Service: service, Path: t.path, Method: transaction + "." + method, Args: args})
}

// wait hears what the transaction says until it has finished.
func (t *running) wait(ctx context.Context) (*answer, error) {
	quiet := time.NewTicker(silence)
	defer quiet.Stop()
	heard := time.Now()
	ended, stopped := ctx.Done(), false
	var late, look <-chan time.Time
	for {
		select {
		case s, open := <-t.signals.C:
			if !open {
				return nil, fmt.Errorf("cannot hear how %s goes on: %w", t.method, t.signals.Err())
			}
			heard = time.Now()
			quiet.Reset(silence)
			t.tell(t.answer.hear(s))
			if t.answer.finished {
				if stopped {
					return nil, context.Cause(ctx)
				}
				return &t.answer, t.answer.failure()
			}
		case s := <-t.owners.C:
			if old := ownerBefore(s); old != "" {
				return nil, fmt.Errorf("%s ended during %s, which may be done in part", service, t.method)
			}
		case <-quiet.C:
			t.tell(t.answer.waiting)
			if err := t.alive(context.WithoutCancel(ctx)); err != nil {
				return nil, err
			}
			if time.Since(heard) > standstill {
				return nil, fmt.Errorf("%s has not gone on with %s for %s", service, t.method, standstill)
			}
		case <-ended:
			ended, stopped = nil, true
			t.tell("PackageKit: stopping")
			late, look = time.After(farewell), time.After(0)
		case <-look:
			if look = nil; t.dpkg.user(dpkgLock) != nil {
				look = time.After(glance)
			} else {
				_ = t.call(context.WithoutCancel(ctx), "Cancel") // what refuses goes on to its own end
			}
		case <-late:
			return nil, fmt.Errorf("%s goes on with %s, %s after it was to stop: %w", service, t.method, farewell, context.Cause(ctx))
		}
	}
}

// ownerBefore is who had the name that has changed hands; empty where it was nobody.
func ownerBefore(s *dbus.Signal) string {
	if s == nil || len(s.Body) < 2 {
		return ""
	}
	old, _ := s.Body[1].(string)
	return old
}

// alive asks the transaction how it is, so that a service that hangs is known to.
func (t *running) alive(ctx context.Context) error {
	_, err := t.bus.Get(ctx, service, t.path, transaction, "Status")
	var e *sysbus.Error
	if errors.As(err, &e) && e.Absent() { // its last signals are on their way
		return nil
	}
	return err
}

// An answer is what a transaction has said.
type answer struct {
	found    []found
	repos    []repo
	finished bool

	exit    uint32
	code    uint32
	details string
	eula    string

	said    string            // last, of how it goes on
	done    map[string]uint32 // by package, of a hundred
	waiting string            // what it waits for; that is worth saying when it lasts
}

// A repo is a repository that PackageKit has told of.
type repo struct {
	id, description string
	enabled         bool
}

// hear takes in a signal and says in words how the transaction goes on; nothing when that has been said.
func (a *answer) hear(s *dbus.Signal) string {
	text := ""
	switch s.Name[strings.LastIndexByte(s.Name, '.')+1:] {
	case "Package":
		var p struct {
			Info        uint32
			ID, Summary string
		}
		if dbus.Store(s.Body, &p.Info, &p.ID, &p.Summary) == nil {
			text = a.add(p.Info, p.ID)
		}
	case "Packages":
		var all []struct {
			Info        uint32
			ID, Summary string
		}
		if dbus.Store(s.Body, &all) == nil {
			for _, p := range all {
				text = a.add(p.Info, p.ID)
			}
		}
	case "RepoDetail":
		var r repo
		if dbus.Store(s.Body, &r.id, &r.description, &r.enabled) == nil {
			a.repos = append(a.repos, r)
		}
	case "ErrorCode":
		if a.details == "" { // the first is the cause
			_ = dbus.Store(s.Body, &a.code, &a.details)
		}
	case "EulaRequired":
		var agreement, of, vendor, license string
		if dbus.Store(s.Body, &agreement, &of, &vendor, &license) == nil {
			a.eula = fmt.Sprintf("%s of %s, for %s", agreement, vendor, of)
		}
	case "RequireRestart":
		var kind uint32
		var of string
		if dbus.Store(s.Body, &kind, &of) == nil {
			text = restartText(kind, of)
		}
	case "ItemProgress":
		var of string
		var status, done uint32
		if dbus.Store(s.Body, &of, &status, &done) == nil {
			text = a.item(of, status, done)
		}
	case "PropertiesChanged":
		text = a.changed(s.Body)
	case "Finished":
		var runtime uint32
		_ = dbus.Store(s.Body, &a.exit, &runtime)
		a.finished = true
	case "Destroy":
		a.finished = true
	}
	if text == a.said {
		return ""
	}
	if text != "" {
		a.said = text
	}
	return text
}

func (a *answer) add(kind uint32, text string) string {
	i, err := parseID(text)
	if err != nil {
		return "" // PackageKit has ids for what is no package
	}
	a.found = append(a.found, found{i, info(kind) & infoMask})
	return ""
}

// item is how far one package has come. What begins anew, as setting up does after unpacking, is not told again.
func (a *answer) item(of string, status, done uint32) string {
	if a.done == nil {
		a.done = map[string]uint32{}
	}
	before, known := a.done[of]
	if known && (done <= before || done > 100) {
		return ""
	}
	a.done[of] = done
	return itemText(of, status, done)
}

// changed tells of what has no signal of its own: queues and locks.
func (a *answer) changed(body []any) string {
	var iface string
	var properties map[string]dbus.Variant
	var invalidated []string
	if dbus.Store(body, &iface, &properties, &invalidated) != nil {
		return ""
	}
	if v, ok := properties["Status"]; ok {
		var status uint32
		if v.Store(&status) == nil {
			a.waiting = statusText(status)
		}
		if status == statusLocked {
			return a.waiting
		}
	}
	return ""
}
