package packagekit

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The exit codes of transactions that are told apart.
const (
	exitSuccess       = 1
	exitCancelled     = 3
	exitKeyRequired   = 4
	exitEulaRequired  = 5
	exitNeedUntrusted = 8
)

// The error codes that are told apart.
const (
	errorDependencies  = 13
	errorEssential     = 20
	errorLocked        = 26
	errorNotAuthorized = 48
	errorUntrusted     = 50
	errorNoAgreement   = 34
)

// failure says why a transaction came to nothing; nil when it did not.
func (a *answer) failure() error {
	details := lines(a.details)
	switch {
	case a.eula != "" || a.exit == exitEulaRequired || a.code == errorNoAgreement:
		return fmt.Errorf("a licence agreement has to be accepted first: %s. Accept it by hand, with pkcon(1)", or(a.eula, details))
	case a.code == errorLocked:
		return fmt.Errorf("the package system is locked: %s. Wait until the other program has ended, and try again", or(firstLine(a.details), "somebody else is at work"))
	case a.code == errorNotAuthorized:
		return fmt.Errorf("polkit does not allow it to this user: %s", strings.TrimSuffix(details, "."))
	case a.code == errorUntrusted || a.exit == exitNeedUntrusted || a.exit == exitKeyRequired:
		return fmt.Errorf("it is not signed by somebody that the host trusts: %s", or(details, "PackageKit says no more"))
	case a.code == errorDependencies:
		return fmt.Errorf("its dependencies cannot be had: %s", details)
	case a.code == errorEssential:
		return fmt.Errorf("the host cannot do without it: %s", details)
	case a.exit == exitSuccess:
		return nil
	case a.exit == exitCancelled && details == "":
		return errors.New("somebody has cancelled it")
	case details == "":
		return fmt.Errorf("PackageKit says no more than that it ended with exit code %d", a.exit)
	}
	return errors.New(details)
}

func or(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

// firstLine is the first line of apt's errors and warnings.
func firstLine(text string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimSuffix(strings.TrimPrefix(first, "E: "), ".")
}

// lines are the lines of a text in one.
func lines(text string) string {
	var all []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, strings.TrimPrefix(line, "E: "))
		}
	}
	return strings.Join(slices.Compact(all), " ")
}

// statusLocked is the status of a transaction that waits for another package manager.
const statusLocked = 30

// statusText is what a transaction waits for; empty where it does something.
func statusText(status uint32) string {
	switch status {
	case 1:
		return "PackageKit: waiting for its turn"
	case 8:
		return "PackageKit: downloading"
	case statusLocked:
		return "PackageKit: waiting for another package manager to end"
	case 31:
		return "PackageKit: waiting to be authorized"
	}
	return ""
}

// itemText is how far one package has come.
func itemText(of string, status, done uint32) string {
	i, err := parseID(of)
	if err != nil {
		return ""
	}
	verb := map[uint32]string{2: "preparing", 6: "removing", 8: "downloading", 9: "installing", 10: "updating", 11: "cleaning up after"}[status]
	if verb == "" {
		verb = "working on"
	}
	if done > 100 { // not known
		return fmt.Sprintf("PackageKit: %s %s", verb, i.words())
	}
	return fmt.Sprintf("PackageKit: %s %s, %d%%", verb, i.words(), done)
}

// restartText is what has to be started anew because of a package.
func restartText(kind uint32, of string) string {
	what := map[uint32]string{2: "the application", 3: "the session", 4: "the system", 5: "the session, for its security", 6: "the system, for its security"}[kind]
	if what == "" {
		return ""
	}
	name, _, _ := strings.Cut(of, ";")
	return fmt.Sprintf("PackageKit: because of %s %s has to be started anew", name, what)
}
