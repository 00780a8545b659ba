package live_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// packages are the packages for tests that dpkg has anything of, and which of them are there because another needs them.
func (h *host) packages() string {
	h.t.Helper()
	return h.Do("sh", "-c", `dpkg-query -W -f '${db:Status-Abbrev}${Package} ${Version}\n' 'opdbus-test-*' 2>/dev/null | grep -v '^un' | sort
apt-mark showauto 'opdbus-test-*'`)
}

// settingUp has a shell wait until dpkg sets up the package that takes as long as /run/opdbus-test-slow is there. The shell, whose own
// command line has these words, is not what the pattern finds.
const settingUp = `timeout 30 sh -c "until pgrep -f '[o]pdbus-test-slow.postinst' >/dev/null; do sleep 0.1; done" || exit 1
`

func TestPackageKit(t *testing.T) {
	t.Parallel()
	all := newHost(t)
	all.Put("/etc/dpkg/dpkg.cfg.d/fast", "force-unsafe-io\n", 0o644)

	t.Run("packages become as they are declared, and are put back", func(t *testing.T) {
		h := all.within(t)
		h.Do("apt-get", "install", "-qq", "-y", "opdbus-test-a=1.0", "opdbus-test-conf")
		before := h.packages()
		h.config(`
plugin "packagekit" {
  package "opdbus-test-a" { ensure = "latest" }
  package "opdbus-test-b" {}
  package "opdbus-test-conf" { ensure = "removed" }
}
`)
		plan := h.must(2, "plan", "--detailed-exitcode")
		assert.Contains(t, plan, `+ package["opdbus-test-b"]`)
		assert.Contains(t, plan, `~ package["opdbus-test-a"]`)
		assert.NotContains(t, plan, "besides")
		assert.Contains(t, plan, "also installs opdbus-test-c 1.0")
		assert.Contains(t, plan, "replaces opdbus-test-a 1.0 by 1.1")
		assert.Equal(t, before, h.packages(), "a plan changes nothing")

		out := h.must(0, "apply", "--auto-approve")

		assert.Contains(t, out, "installing opdbus-test-b 1.0")
		after := h.packages()
		assert.Equal(t, "ii opdbus-test-a 1.1\nii opdbus-test-b 1.0\nii opdbus-test-c 1.0\nrc opdbus-test-conf 1.0\nopdbus-test-c\n", after)
		assert.Contains(t, h.must(0, "plan"), "No changes.")
		assert.Contains(t, h.must(0, "drift"), "No drift")
		h.must(0, "verify")

		h.must(0, "rollback", "--all", "--auto-approve")
		assert.Equal(t, before, h.packages())
		h.must(0, "undo", "--auto-approve")
		assert.Equal(t, after, h.packages())
		h.must(0, "release")
		h.must(0, "destroy", "--auto-approve")
		assert.Equal(t, before, h.packages(), "what is no longer managed is as it was found")
	})

	t.Run("a package that cannot be set up is taken back, with all that was installed with it", func(t *testing.T) {
		h := all.within(t)
		before := h.packages()
		h.config(`
plugin "packagekit" {
  package "opdbus-test-b" {}
  package "opdbus-test-broken" {}
  package "opdbus-test-a" { ensure = "removed" }
}
`)
		out := h.must(5, "apply", "--auto-approve")
		assert.Contains(t, out, "installed opdbus-test-broken package post-installation script subprocess returned error exit status 1")
		assert.Contains(t, out, "taken back")
		assert.Equal(t, before, h.packages())
	})

	for _, by := range []struct{ name, then string }{
		{"with PackageKit", "pkill -KILL -x packagekitd; rm /run/opdbus-test-slow"},
		{"and PackageKit goes on", "systemd-run --quiet --on-active=2 --timer-property=AccuracySec=100ms rm /run/opdbus-test-slow"},
	} {
		t.Run("a run that is killed in the middle, "+by.name+", is recovered from", func(t *testing.T) {
			h := all.within(t)
			before := h.packages()
			h.config(`
plugin "packagekit" {
  package "opdbus-test-slow" {}
  package "opdbus-test-b" {}
}
`)
			h.Do("touch", "/run/opdbus-test-slow")
			h.Do("sh", "-c", "opdbus --chdir /root/config apply --auto-approve >/root/out 2>&1 &\n"+settingUp+"pkill -KILL -x opdbus; "+by.then)
			require.NotEqual(t, before, h.packages())
			assert.Contains(t, h.must(0, "recover"), "removing opdbus-test-slow")
			assert.Equal(t, before, h.packages())
			assert.Empty(t, h.Do("sh", "-c", "pgrep -x dpkg || true"), "nothing comes late")
		})
	}
}
