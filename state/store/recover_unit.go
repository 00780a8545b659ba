package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/coreos/go-systemd/v22/unit"
)

// programInRoot is where opdbus is taken to be in a root that it was not started from.
const programInRoot = "/usr/local/bin/opdbus"

// RecoverUnit is the name of the unit that takes back, at boot, the run that was cut off. Each store has its own.
func (l Layout) RecoverUnit() string {
	if l.inside == DefaultDir {
		return "opdbus-recover.service"
	}
	return "opdbus-recover-" + unit.UnitNamePathEscape(l.inside) + ".service"
}

// recoverUnit installs and enables it.
func (l Layout) recoverUnit(w *work) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find out where opdbus itself is: %w", err)
	}
	return l.install(w, l.RecoverUnit(), "multi-user.target", recoverUnitText(l.inside, l.program(self)))
}

// program is a program's path as seen from inside the root.
func (l Layout) program(self string) string {
	root := l.host.Path("")
	if root == "" {
		return self
	}
	if real, err := filepath.EvalSymlinks(root); err == nil {
		if inside, ok := strings.CutPrefix(self, real+"/"); ok {
			return "/" + inside
		}
	}
	return programInRoot
}

// recoverUnitText is the unit. It comes after the file systems, and before everything that the files may be read by which the run
// changed, the network above all. It is wanted by multi-user.target and not by sysinit.target, although it is over before either: each
// service wants sysinit.target, and there are versions of systemd that then start again what that wants and is not active, which would be
// in the middle of another run. What it cannot take back so early, as the service is not there yet that it has to speak to, it tries
// again when everything has been started.
func recoverUnitText(dir, program string) string {
	command := quote(program) + " recover"
	if dir != DefaultDir {
		command += " --store " + strings.ReplaceAll(quote(dir), "$", "$$")
	}
	return fmt.Sprintf(`[Unit]
Description=Take back the run of opdbus that was cut off
DefaultDependencies=no
RequiresMountsFor=%s
After=local-fs.target
Before=systemd-sysctl.service systemd-tmpfiles-setup.service sysinit.target network-pre.target
Wants=network-pre.target
Conflicts=shutdown.target
Before=shutdown.target
ConditionFileIsExecutable=%s
ConditionDirectoryNotEmpty=%s/state/journal
StartLimitIntervalSec=10min
StartLimitBurst=5

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=%s
TimeoutStartSec=10min
Restart=on-failure
RestartSec=15

[Install]
WantedBy=multi-user.target
`, quote(dir), literal(program), literal(dir), command)
}

// quote is a path as one word of a setting (systemd.syntax(7)).
func quote(path string) string {
	path = literal(path)
	special := func(r rune) bool {
		return r < utf8.RuneSelf && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/.-_+%", r)
	}
	if strings.IndexFunc(path, special) < 0 {
		return path
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(path) + `"`
}
