package cli_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/reconciler/faulttest"
)

// A powerRun is a run on a disk that logs what is written to it, and the states that it may be left in.
type powerRun struct {
	*world
	disk    *faulttest.Disk
	allowed map[string]string // a state, and what it is called
	tried   map[string]int    // how often the disk was found in which
}

// newPowerRun is a world on such a disk, in which the first configuration is applied.
func newPowerRun(t *testing.T, disk *faulttest.Disk) *powerRun {
	opdbus, err := program()
	require.NoError(t, err)
	p := &powerRun{
		world: &world{T: t, opdbus: opdbus, dir: t.TempDir()}, disk: disk,
		allowed: map[string]string{}, tried: map[string]int{},
	}
	p.root = filepath.Join(p.disk.Mount(), "root")
	require.NoError(t, os.MkdirAll(filepath.Join(p.root, "etc"), 0o755))
	p.applyFirst()
	return p
}

// btrfsDisk is a disk of a host that is on btrfs, and the store with it.
func btrfsDisk(t *testing.T) *faulttest.Disk { return faulttest.NewDisk(t, 256) }

// hostDisk is a disk of a host that is not on btrfs: the store is in an image there.
func hostDisk(t *testing.T) *faulttest.Disk { return faulttest.NewDiskOfHost(t, 640) }

// synced says that what is there now is on the disk, and is the state before the run.
func (p *powerRun) synced() {
	p.sh(`sync -f "$ROOT/var/lib/op-dbus" && sync -f "$ROOT"`)
	p.allowed[p.state()] = "before"
	p.begin()
}

// begin says that cuts are of interest from now on.
func (p *powerRun) begin() { p.disk.Mark("begin") }

// end says that the run has ended.
func (p *powerRun) end() {
	p.disk.Mark("end")
	if state := p.state(); p.allowed[state] == "" {
		p.allowed[state] = "after"
	}
	if p.imaged() {
		p.sh(`umount "$ROOT/var/lib/op-dbus"`)
	}
	p.disk.Close()
}

// imaged says whether the store is in an image of its own, as where the host is not on btrfs.
func (w *world) imaged() bool {
	_, err := os.Stat(filepath.Join(w.root, "var/lib/op-dbus.btrfs"))
	return err == nil
}

// A cut is a point at which the power is cut: after how many writes, and whether what was not flushed is on the disk in part.
type cut struct {
	after int
	torn  bool
}

// cuts are the points from the run's begin on: at every flush, or at so many of them; as many between the flushes; and as many
// at which the disk has written only some of what it was told since the last flush.
func (p *powerRun) cuts(t *testing.T, wanted int) (all []cut) {
	begin, end := p.disk.Marked("begin"), p.disk.Marked("end")
	all = append(all, cut{after: begin})
	chance := rand.New(rand.NewPCG(1, 1))
	after := p.disk.Flushes()
	first, _ := slices.BinarySearch(after, begin+1)
	after = after[first:]
	step := stride(t)
	if wanted > 0 && !everything() {
		step *= max(1, len(after)/wanted)
	}
	last, flushes := begin, 0
	for _, f := range after {
		flushes++
		if f-1 > last && flushes%step == 0 {
			all = append(all, cut{after: last + 1 + chance.IntN(f-last-1)}, cut{after: f - 1, torn: true})
		}
		if flushes%step == 0 {
			all = append(all, cut{after: f})
		}
		last = f
	}
	t.Logf("%d writes and %d flushes, %d of the writes during the run", len(p.disk.Entries())-begin, flushes, end-begin)
	return all
}

// check cuts the power at each of the points, and holds what recover makes of it against what is allowed.
func (p *powerRun) check(t *testing.T, wanted int) {
	replayer := p.disk.Replayer(t)
	chance := rand.New(rand.NewPCG(1, 2))
	for i, c := range p.cuts(t, wanted) {
		name := fmt.Sprint(c.after)
		if c.torn {
			name += " torn"
		}
		t.Run(name, func(t *testing.T) {
			w := p.beside(t)
			if image := filepath.Join(w.dir, "image"); c.torn {
				replayer.Torn(t, c.after, chance, image)
			} else {
				replayer.At(t, c.after, image)
			}
			w.mount("image")
			if w.imaged() {
				w.must("init") // mounts it, as the host does when it boots
			}
			out := w.must("recover")
			state := w.state()
			p.tried[p.allowed[state]]++
			if p.allowed[state] == "" {
				assert.Fail(t, "neither before nor after", "recover said: %s%s", out, p.nearest(state))
			}
			if i%4 == 0 {
				w.must("release")
				w.must(apply()...)
				assert.Contains(t, w.must("plan", "v2"), "No changes.", "a new apply converges")
			}
			w.unmount()
		})
	}
	p.report(t, replayer.Blocks)
}

func (p *powerRun) report(t *testing.T, lost int) {
	total := 0
	for _, n := range p.tried {
		total += n
	}
	t.Logf("the power was cut at %d points: %d times as before, %d times as after; %d unflushed blocks were lost", total, p.tried["before"], p.tried["after"], lost)
}

// nearest is in which lines a state differs from the one of those allowed that it is most like.
func (p *powerRun) nearest(state string) string {
	var nearest []string
	for allowed, name := range p.allowed {
		diff := []string{"differs from " + name + ":"}
		lines, want := strings.SplitAfter(state, "\n"), strings.SplitAfter(allowed, "\n")
		for _, l := range want {
			if !slices.Contains(lines, l) {
				diff = append(diff, "- "+strings.TrimSpace(l))
			}
		}
		for _, l := range lines {
			if !slices.Contains(want, l) {
				diff = append(diff, "+ "+strings.TrimSpace(l))
			}
		}
		if nearest == nil || len(diff) < len(nearest) || len(diff) == len(nearest) && diff[0] < nearest[0] {
			nearest = diff
		}
	}
	return strings.Join(nearest, "\n")
}

// TestPower cuts the power during an apply: at flushes, between them, and with some of the writes before a flush lost; at each flush with
// OPDBUS_TEST_FAULTS=all, else at some.
func TestPower(t *testing.T) {
	t.Parallel()
	p := newPowerRun(t, btrfsDisk(t))
	p.synced()
	p.must(apply()...)
	p.end()
	require.Len(t, p.allowed, 2)
	p.check(t, 30)
}

// TestPowerHost cuts the power during an apply on a host that is on ext4, where the store is in an image: what is in the one may be
// on the disk while what is in the other is not, but for what a run has synced.
func TestPowerHost(t *testing.T) {
	t.Parallel()
	p := newPowerRun(t, hostDisk(t))
	require.True(t, p.imaged())
	p.synced()
	p.must(apply()...)
	p.end()
	require.Len(t, p.allowed, 2)
	p.check(t, 16)
}

// TestPowerTakingBack cuts the power while an apply that has failed is taken back.
func TestPowerTakingBack(t *testing.T) {
	t.Parallel()
	p := newPowerRun(t, hostDisk(t))
	p.config("v2", "check.hcl", neverVerified)
	p.synced()
	code, out := p.run(apply()...)
	require.Equal(t, 5, code, out)
	p.end()
	require.NoError(t, os.Remove(filepath.Join(p.dir, "configs", "v2", "check.hcl")))
	p.check(t, 16)
}

// TestPowerRecover cuts the power while an apply that was killed is recovered. Nothing of what the apply had not synced is
// on the disk by then.
func TestPowerRecover(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		percent int
		disk    func(*testing.T) *faulttest.Disk
	}{{55, btrfsDisk}, {97, hostDisk}} {
		t.Run(fmt.Sprintf("killed after %d%%", c.percent), func(t *testing.T) {
			calls := len(newMatrix(t, applied(t), 0, apply()...).calls)
			p := newPowerRun(t, c.disk(t))
			p.synced()
			killed := faulttest.Run(t, p.command(apply()...), afterLock(faulttest.Options{KillAt: calls * c.percent / 100}))
			require.True(t, killed.Hit)
			p.begin()
			assert.Contains(t, p.must("recover"), "was taken back")
			p.end()
			require.Len(t, p.allowed, 1)
			p.check(t, 10)
		})
	}
}
