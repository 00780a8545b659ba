package login1

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
)

const (
	// politely is how long a session may take to end once it has been told to; after that its processes are killed.
	politely = 5 * time.Second
	// killed is how long it may take after that.
	killed = 10 * time.Second

	gone = service + ".NoSuchSession"
)

// Apply ends the sessions that are not allowed, and waits until they have ended. A rule that goes, or goes back to what was before it,
// ends nothing and brings nothing back.
func (p *sessions) Apply(ctx context.Context, before, after *SessionRule) error {
	if after == nil || after.allowed() || len(after.Sessions) > 0 {
		return nil
	}
	found, err := p.manager.survey(ctx)
	if err != nil {
		return err
	}
	matching, err := found.match(ctx, *after)
	if err != nil {
		return err
	}
	var ids []string
	for _, s := range matching {
		if before != nil && !slices.Contains(before.Sessions, s.String()) {
			return fmt.Errorf("session %s was opened since it was planned, and is left alone; make a new plan", s)
		}
		ids = append(ids, s.ID)
	}
	for _, id := range ids {
		if err := p.manager.on(ctx, "TerminateSession", id); err != nil {
			return fmt.Errorf("cannot end session %s: %w", id, err)
		}
	}
	left, err := p.manager.await(ctx, ids, politely)
	if err != nil || len(left) == 0 {
		return err
	}
	for _, id := range left {
		if err := p.manager.on(ctx, "KillSession", id, "all", int32(unix.SIGKILL)); err != nil {
			return fmt.Errorf("cannot kill session %s: %w", id, err)
		}
	}
	if left, err = p.manager.await(ctx, left, killed); err == nil && len(left) > 0 {
		err = fmt.Errorf("session %s has not ended within %s although all its processes were killed", strings.Join(left, ", session "), politely+killed)
	}
	return err
}

// on calls a method on a session, and takes it well when that has ended meanwhile.
func (m manager) on(ctx context.Context, method string, args ...any) error {
	err := m.call(ctx, method, args)
	var e *sysbus.Error
	if errors.As(err, &e) && (e.Name == gone || e.Absent()) {
		return nil
	}
	return err
}

// await waits until none of the sessions is there any more, and returns those that are after so long.
func (m manager) await(ctx context.Context, ids []string, patience time.Duration) (left []string, err error) {
	for end := time.Now().Add(patience); ; {
		found, err := m.survey(ctx)
		if err != nil {
			return nil, err
		}
		left = nil
		for _, s := range found.sessions {
			if slices.Contains(ids, s.ID) {
				left = append(left, s.ID)
			}
		}
		if len(left) == 0 || time.Now().After(end) {
			return left, nil
		}
		select {
		case <-ctx.Done():
			return left, fmt.Errorf("cannot wait for session %s to end: %w", strings.Join(left, ", session "), ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
