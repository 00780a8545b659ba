package login1

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
)

// noSession is the error for a process that is in none.
const noSession = service + ".NoSessionForPID"

// A session is one that there is: what ListSessions says of it and, once it has been asked, what it says itself.
type session struct {
	ID   string
	UID  uint32
	User string
	Seat string
	Path dbus.ObjectPath

	asked, there bool
	tty, class   string
}

// String names it to people.
func (s session) String() string {
	text := s.ID + " of " + s.User
	if s.tty != "" {
		text += " on " + s.tty
	} else if s.Seat != "" {
		text += " on " + s.Seat
	}
	return text
}

// A survey is the sessions that there are at one time.
type survey struct {
	manager  manager
	sessions []session
	own      map[string]bool // the sessions that opdbus runs in; nil as long as it has not been asked
}

func (m manager) survey(ctx context.Context) (*survey, error) {
	var listed []struct {
		ID   string
		UID  uint32
		User string
		Seat string
		Path dbus.ObjectPath
	}
	if err := m.call(ctx, "ListSessions", nil, &listed); err != nil {
		return nil, fmt.Errorf("cannot list sessions: %w", err)
	}
	s := &survey{manager: m, sessions: make([]session, len(listed))}
	for i, l := range listed {
		s.sessions[i] = session{ID: l.ID, UID: l.UID, User: l.User, Seat: l.Seat, Path: l.Path}
	}
	slices.SortFunc(s.sessions, func(a, b session) int {
		return cmp.Or(cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	return s, nil
}

// complete asks a session what only itself says. There is false where it has ended meanwhile.
func (s *survey) complete(ctx context.Context, of *session) (there bool, err error) {
	if of.asked {
		return of.there, nil
	}
	all, err := s.manager.bus.GetAll(ctx, service, of.Path, sessionFace)
	var e *sysbus.Error
	if errors.As(err, &e) && e.Absent() {
		of.asked = true
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot read session %s: %w", of.ID, err)
	}
	for _, p := range []struct {
		name string
		into *string
	}{{"TTY", &of.tty}, {"Class", &of.class}} {
		if err := all[p.name].Store(p.into); err != nil {
			return false, fmt.Errorf("cannot read %s of session %s: %w", p.name, of.ID, err)
		}
	}
	of.asked, of.there = true, true
	return true, nil
}

// match finds the sessions that a rule is about. None is one that opdbus runs in, nor one by which systemd runs a user's services.
func (s *survey) match(ctx context.Context, r SessionRule) ([]session, error) {
	var matching []session
	for i := range s.sessions {
		of := &s.sessions[i]
		if r.User != nil && *r.User != of.User && *r.User != strconv.FormatUint(uint64(of.UID), 10) || r.Seat != nil && *r.Seat != of.Seat {
			continue
		}
		there, err := s.complete(ctx, of)
		if err != nil {
			return nil, err
		}
		if !there || r.TTY != nil && strings.TrimPrefix(*r.TTY, "/dev/") != of.tty || r.Class != nil && *r.Class != of.class || strings.HasPrefix(of.class, "manager") {
			continue
		}
		if err := s.findOwn(ctx); err != nil {
			return nil, err
		}
		if !s.own[of.ID] {
			matching = append(matching, *of)
		}
	}
	return matching, nil
}

// findOwn finds the sessions that this process and those that started it run in. One that cannot be told is an error: it might be ended.
func (s *survey) findOwn(ctx context.Context) error {
	if s.own != nil {
		return nil
	}
	own := map[string]bool{}
	if id := os.Getenv("XDG_SESSION_ID"); id != "" {
		own[id] = true
	}
	for pid := os.Getpid(); pid > 1; {
		var path dbus.ObjectPath
		err := s.manager.call(ctx, "GetSessionByPID", []any{uint32(pid)}, &path)
		var e *sysbus.Error
		switch {
		case err == nil:
			for _, of := range s.sessions {
				if of.Path == path {
					own[of.ID] = true
				}
			}
		case errors.As(err, &e) && e.Name == noSession:
		default:
			return fmt.Errorf("cannot tell which session opdbus runs in: %w", err)
		}
		if pid, err = parent(pid); err != nil {
			return fmt.Errorf("cannot tell which session opdbus runs in: %w", err)
		}
	}
	s.own = own
	return nil
}

// parent is the process that started another; 0 where that has ended meanwhile, and what started it is not known.
func parent(pid int) (int, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	// The name of the program, in parentheses, may have anything in it; the state follows, and then the parent (proc(5)).
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/%d/stat is not as it should be", pid)
	}
	return strconv.Atoi(fields[1])
}
