package live_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/reconciler/faulttest"
)

// A root that packages write to is snapshotted with each run, and goes back with a reboot; another subvolume goes back at once.
const withRoot = `
opdbus {
  snapshots { subvolumes = ["/", "/srv/data"] }
}
plugin "packagekit" {
  package "opdbus-test-b" { ensure = "installed" }
}
`

func TestSubvolumes(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Do("btrfs", "subvolume", "create", "/srv/data")
	h.Put("/srv/data/file", "one", 0o640)
	h.config(withRoot)
	h.must(0, "apply", "--auto-approve")
	first := func(of string) string {
		return strings.TrimSpace(h.Do("sh", "-c", "opdbus snapshots | awk '$1 ~ /^"+of+"/ {print $1}' | head -n 1"))
	}
	installed := func() string {
		_, out := h.Run(t.Context(), "dpkg-query", "--show", "--showformat=${db:Status-Abbrev}", "opdbus-test-b")
		return strings.TrimSpace(out)
	}
	require.Equal(t, "ii", installed())
	h.Put("/srv/data/file", "two", 0o640)
	h.Put("/root/since", "", 0o600)

	t.Run("one that is not mounted is exchanged live", func(t *testing.T) {
		h := h.within(t)
		out := h.must(0, "restore", "--auto-approve", "--subvolume", first("pre-subvolume-srv-data"))
		assert.Contains(t, out, "/srv/data is as it was.")
		assert.Equal(t, "one", h.Get("/srv/data/file"))
	})
	t.Run("the root that the host runs on is there with the next boot", func(t *testing.T) {
		h := h.within(t)
		out := h.must(0, "restore", "--auto-approve", "--subvolume", first("pre-subvolume-root"))
		assert.Contains(t, out, "/ will be as it was with the next boot.")
		assert.Equal(t, "ii", installed(), "nothing changes before that")

		h.Reboot()

		assert.NotEqual(t, "ii", installed())
		assert.Equal(t, "running\n", h.Do("systemctl", "is-system-running", "--wait"))
		assert.Contains(t, h.must(2, "drift"), "opdbus-test-b", "what opdbus owns is known, and no longer so")
		h.must(0, "apply", "--auto-approve")
		assert.Equal(t, "ii", installed())
		assert.Contains(t, h.must(0, "fsck"), "nothing is wrong")
	})
	t.Run("and can go back to what it was until then", func(t *testing.T) {
		h := h.within(t)
		kept := first("pre-rollback-subvolume-root")
		h.Do("touch", "/root/lost")
		h.must(0, "restore", "--auto-approve", "--subvolume", kept)
		// Restored twice before a boot, the last one counts.
		h.must(0, "restore", "--auto-approve", "--subvolume", kept)
		h.Reboot()
		h.Do("test", "-e", "/root/since")
		code, _ := h.Run(t.Context(), "test", "-e", "/root/lost")
		assert.Equal(t, 1, code)
		assert.Equal(t, "ii", installed())
	})
	t.Run("a restore of the root that is killed is as before or as after", func(t *testing.T) {
		h := h.within(t)
		restore := func() *exec.Cmd {
			return h.Traceable(t.Context(), "opdbus", "restore", "--auto-approve", "--subvolume", first("pre-subvolume-root"))
		}
		after := faulttest.Called("flock", "/lock", 1)
		byDefault := func() string { return strings.Fields(h.Do("btrfs", "subvolume", "get-default", "/"))[1] }
		kept := func() []string {
			return strings.Fields(h.Do("sh", "-c", "ls -A /var/lib/op-dbus/subvolumes /var/lib/op-dbus/staging/snapshots"))
		}
		was := byDefault()
		counts := map[string]int{}
		for n := 1; ; n += 2 {
			before := kept()
			r := faulttest.Run(t, restore(), faulttest.Options{After: after, KillAt: n})
			if !r.Hit {
				break
			}
			h.must(0, "recover")
			if byDefault() == was {
				counts["before"]++
				assert.Equal(t, before, kept(), "%d", n)
			} else {
				counts["after"]++
				var came []string
				for _, name := range kept() {
					if !slices.Contains(before, name) {
						came = append(came, name)
					}
				}
				require.Len(t, came, 2, "%d", n)
				assert.Regexp(t, `^pre-rollback-subvolume-root-.* root-of-run-\d+$`, strings.Join(slices.Sorted(slices.Values(came)), " "))
				assert.Equal(t, byDefault(), strings.TrimSpace(h.Do("btrfs", "inspect-internal", "rootid", "/var/lib/op-dbus/subvolumes/"+slices.Max(came))))
			}
			h.Do("btrfs", "subvolume", "set-default", was, "/")
		}
		t.Log(counts)
		assert.Positive(t, counts["before"])
		assert.Positive(t, counts["after"])
	})
	t.Run("is refused where the boot would not take it", func(t *testing.T) {
		h := h.within(t)
		h.Do("btrfs", "subvolume", "set-default", "5", "/")
		out := h.must(1, "restore", "--auto-approve", "--subvolume", first("pre-subvolume-root"))
		assert.Contains(t, out, "cannot restore the subvolume /: the host was not booted from its file system's default subvolume, which is number 5")
	})
	t.Run("is refused as one to snapshot where the store is in it", func(t *testing.T) {
		h := h.within(t)
		h.Do("opdbus", "--store", "/var/store", "init")
		out := h.must(1, "--store", "/var/store", "plan")
		assert.Contains(t, out, "the store /var/store is in it, and would go back, or be left behind, with it")
	})
}
