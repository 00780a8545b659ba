package systemd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
)

const (
	// askAfter is when a unit is asked how long it may take that has not done so by then.
	askAfter = 15 * time.Second
	// margin is how much longer than a unit says its job may take.
	margin = 10 * time.Second
	// longest is how long a job may take whose unit sets itself no limit.
	longest = 30 * time.Minute
	// grace is when a service that was started is looked at. Most say only that their program was executed, and one that cannot work
	// ends a moment later.
	grace = time.Second
)

// A job is one that systemd has been given to do.
type job struct {
	unit, verb, method string
	path               dbus.ObjectPath
	result             string // as JobRemoved says it; empty while it is under way
}

// hasProcess says whether the job starts something that may end by itself.
func (j job) hasProcess() bool { return j.verb != "stop" && strings.HasSuffix(j.unit, ".service") }

// run has jobs done, all at the same time as far as the units' own order allows, and waits for all. Where one cannot be begun, those
// after it are not.
func (m manager) run(ctx context.Context, jobs []job) error {
	if len(jobs) == 0 {
		return nil
	}
	// A job may be over before the call that begins it returns.
	removed, err := m.bus.Subscribe(ctx, sysbus.Match{Sender: service, Path: managerPath, Interface: managerFace, Member: "JobRemoved"})
	if err != nil {
		return err
	}
	defer removed.Close()
	if err := m.subscribe(ctx); err != nil {
		return err
	}
	var failed error
	begun := jobs[:0:0]
	for _, j := range jobs {
		if j.verb != "stop" {
			// Without a reference, systemd forgets what became of a unit as soon as it is inactive. The bus takes it back when we are gone.
			if m.call(ctx, "RefUnit", []any{j.unit}) == nil {
				defer func() { _ = m.call(context.WithoutCancel(ctx), "UnrefUnit", []any{j.unit}) }()
			}
		}
		if failed = m.call(ctx, j.method, []any{j.unit, "replace"}, &j.path); failed != nil {
			failed = fmt.Errorf("cannot %s %s: %w", j.verb, j.unit, failed)
			break
		}
		begun = append(begun, j)
	}
	errs := []error{failed, m.wait(ctx, begun, removed)}
	if errors.Join(errs...) == nil && slices.ContainsFunc(begun, job.hasProcess) {
		select {
		case <-time.After(grace):
		case <-ctx.Done():
		}
	}
	ctx = context.WithoutCancel(ctx)
	names := make([]string, len(begun))
	for i, j := range begun {
		names[i] = j.unit
	}
	statuses, err := m.statuses(ctx, names)
	errs = append(errs, err)
	for _, j := range begun {
		if s := statuses[j.unit]; j.result == "" || j.result == "done" && (j.verb == "stop" && s.down() || j.verb != "stop" && s.running()) {
			continue
		}
		errs = append(errs, m.outcome(ctx, j))
	}
	return errors.Join(errs...)
}

// wait waits until all jobs are over, or one has taken longer than its unit allows.
func (m manager) wait(ctx context.Context, jobs []job, removed *sysbus.Subscription) error {
	byPath := make(map[dbus.ObjectPath]*job, len(jobs))
	for i := range jobs {
		byPath[jobs[i].path] = &jobs[i]
	}
	began := time.Now()
	timer := time.NewTimer(askAfter)
	defer timer.Stop()
	asked := false
	for len(byPath) > 0 {
		select {
		case s, open := <-removed.C:
			if !open {
				return fmt.Errorf("cannot wait for %s: %w", jobNames(byPath), removed.Err())
			}
			var id uint32
			var path dbus.ObjectPath
			var unit, result string
			if err := dbus.Store(s.Body, &id, &path, &unit, &result); err != nil {
				return fmt.Errorf("systemd says something else than it should of a job: %w", err)
			}
			if j := byPath[path]; j != nil {
				j.result = result
				delete(byPath, path)
			}
		case <-timer.C:
			if asked {
				return fmt.Errorf("%s did not end within %s", jobNames(byPath), time.Since(began).Round(time.Second))
			}
			asked = true
			timer.Reset(m.patience(ctx, byPath) - time.Since(began))
		case <-ctx.Done():
			return fmt.Errorf("cannot wait for %s: %w", jobNames(byPath), ctx.Err())
		}
	}
	return nil
}

// patience is how long the slowest of the units may take by what it says itself (TimeoutStartUSec, TimeoutStopUSec).
func (m manager) patience(ctx context.Context, jobs map[dbus.ObjectPath]*job) time.Duration {
	most := 90 * time.Second // DefaultTimeoutStartSec
	for _, j := range jobs {
		path, err := m.object(ctx, j.unit)
		if err != nil {
			continue
		}
		var start, stop uint64
		if m.property(ctx, path, serviceFace, "TimeoutStartUSec", &start) != nil || m.property(ctx, path, serviceFace, "TimeoutStopUSec", &stop) != nil {
			continue // no service
		}
		switch {
		case start == math.MaxUint64 || stop == math.MaxUint64:
			most = longest
		default:
			most = max(most, min(time.Duration(start+stop)*time.Microsecond, longest))
		}
	}
	return most + margin
}

func jobNames(jobs map[dbus.ObjectPath]*job) string {
	name := ""
	for _, j := range jobs {
		if n := j.unit; name == "" || n < name {
			name = n
		}
	}
	if len(jobs) > 1 {
		return fmt.Sprintf("%s and %d more units", name, len(jobs)-1)
	}
	return name
}
