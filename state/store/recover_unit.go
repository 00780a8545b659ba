package store

import (
	"errors"
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
	return l.unitName("opdbus-recover", ".service")
}

func (l Layout) unitName(name, suffix string) string {
	if l.inside == DefaultDir {
		return name + suffix
	}
	return name + "-" + unit.UnitNamePathEscape(l.inside) + suffix
}

// units installs and enables the units that run opdbus.
func (l Layout) units(w *work) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find out where opdbus itself is: %w", err)
	}
	program := l.program(self)
	again := l.unitName("opdbus-switch", ".service")
	return errors.Join(
		l.install(w, l.RecoverUnit(), "multi-user.target", recoverUnitText(l.inside, program)),
		l.install(w, l.unitName("opdbus-network", ".service"), "multi-user.target", networkUnitText(l.inside, program)),
		l.install(w, again, "", switchUnitText(l.inside, program)),
		l.install(w, l.unitName("opdbus-switch", ".path"), "paths.target", switchPathText(program, again)),
	)
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
`, quote(dir), literal(program), literal(dir), command(dir, program, "recover"))
}

// command is opdbus with arguments, on the store.
func command(dir, program, arguments string) string {
	text := quote(program) + " " + arguments
	if dir != DefaultDir {
		text += " --store " + strings.ReplaceAll(quote(dir), "$", "$$")
	}
	return text
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
