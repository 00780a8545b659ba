package reconciler

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/store"
)

// How something stands with the host.
const (
	Healthy = "ok"
	Warning = "warning"
	Wrong   = "problem"
)

// A Diagnosis is one thing that opdbus needs of the host, and how it stands with that.
type Diagnosis struct {
	About  string `json:"about"`
	Status string `json:"status"` // Healthy, Warning or Wrong
	What   string `json:"what"`
	Remedy string `json:"remedy,omitempty"`
}

// DoctorOptions are what only the caller knows.
type DoctorOptions struct {
	Now time.Time
	// Retention is what the configuration says about snapshots; nil: there is none to ask.
	Retention *state.SnapshotSettings
}

// Doctor says what is right with the host for opdbus, and what is not. It changes nothing.
func (r *Reconciler) Doctor(ctx context.Context, o DoctorOptions) ([]Diagnosis, error) {
	d := &doctor{Reconciler: r, o: o}
	d.host()
	s, err := store.Find(r.Host)
	if err != nil {
		var wrong *store.Error
		if !errors.As(err, &wrong) {
			return nil, err
		}
		d.add(Wrong, "store", wrong.Path+" "+wrong.Problem, wrong.Remedy)
		return d.found, nil
	}
	for _, look := range []func(context.Context, *store.Store) error{d.store, d.space, d.units, d.lock, d.runs, d.snapshots, d.fsck} {
		if err := look(ctx, s); err != nil {
			return nil, err
		}
	}
	return d.found, nil
}

// A doctor looks at the host.
type doctor struct {
	*Reconciler
	o     DoctorOptions
	found []Diagnosis
}

func (d *doctor) add(status, about, what, remedy string) {
	d.found = append(d.found, Diagnosis{about, status, what, remedy})
}

// cannot says that something could not be looked at.
func (d *doctor) cannot(about string, err error) {
	d.add(Warning, about, err.Error(), "")
}

// host looks at what is there without a store.
func (d *doctor) host() {
	if os.Geteuid() == 0 {
		d.add(Healthy, "user", "root", "")
	} else {
		d.add(Warning, "user", fmt.Sprintf("user %d, who cannot see all of the store and cannot change the host", os.Geteuid()), "run opdbus as root")
	}
	d.kernel()
	switch _, err := os.Stat("/run/systemd/system"); {
	case d.Host.Root != "":
		d.add(Healthy, "systemd", "not looked at: with a root, no live service is spoken to", "")
	case err == nil:
		d.add(Healthy, "systemd", "runs", "")
	default:
		d.add(Warning, "systemd", "does not run: an apply with --confirm-timeout is watched over by a process of its own, and nothing recovers at boot", "after a crash, run `opdbus recover`")
	}
	if _, err := exec.LookPath("git"); err != nil {
		d.add(Warning, "git", "is missing: plans do not say which commit they are of", "install git")
	} else {
		d.add(Healthy, "git", "is there", "")
	}
}

// kernel looks whether it can have btrfs.
func (d *doctor) kernel() {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		d.cannot("kernel", fmt.Errorf("cannot tell which it is: %w", err))
		return
	}
	release := unix.ByteSliceToString(u.Release[:])
	known, err := os.ReadFile("/proc/filesystems")
	switch {
	case err != nil:
		d.cannot("kernel", fmt.Errorf("%s; cannot tell whether it knows btrfs: %w", release, err))
	case strings.Contains(string(known), "\tbtrfs\n"):
		d.add(Healthy, "kernel", release+", with btrfs", "")
	default:
		d.add(Warning, "kernel", release+" has not loaded btrfs", "run `modprobe btrfs`; a kernel without it cannot hold a store")
	}
}

// units looks at those that init installs.
func (d *doctor) units(_ context.Context, s *store.Store) error {
	units, err := s.Units()
	if err != nil {
		return err
	}
	for _, u := range units {
		switch {
		case !u.Installed:
			d.add(Wrong, "unit", fmt.Sprintf("%s, which %s, is not installed", u.Name, u.Purpose), "run `opdbus init`")
		case !u.Enabled:
			d.add(Wrong, "unit", fmt.Sprintf("%s, which %s, is not enabled", u.Name, u.Purpose), "run `opdbus init`")
		case u.Program != "" && !u.Runs:
			d.add(Wrong, "unit", fmt.Sprintf("%s, which %s, runs %s, which cannot be executed", u.Name, u.Purpose, u.Program),
				"put opdbus there; or remove the unit, and run `opdbus init` with the opdbus that is to stay")
		default:
			d.add(Healthy, "unit", fmt.Sprintf("%s %s", u.Name, u.Purpose), "")
		}
	}
	return nil
}
