package packagekit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestID(t *testing.T) {
	read := func(text string) id {
		i, err := parseID(text)
		require.NoError(t, err)
		return i
	}
	a := read("htop;3.2.2-2;amd64;manual:debian-bookworm-main")

	t.Run("where it comes from does not make it another", func(t *testing.T) {
		assert.True(t, a.same(read("htop;3.2.2-2;amd64;installed")))
		assert.False(t, a.same(read("htop;3.2.2-2;i386;manual:debian-bookworm-main")))
		assert.False(t, a.same(read("htop;3.2.2-3;amd64;manual:debian-bookworm-main")))
	})

	t.Run("is kept with whether something else had it installed, and installed again like that", func(t *testing.T) {
		assert.Equal(t, "htop;3.2.2-2;amd64;", a.kept())
		auto := read("c;1;all;auto:local")
		assert.Equal(t, "c;1;all;auto", auto.kept())
		assert.True(t, read(auto.kept()).automatic())
		assert.True(t, read("c;1;all;+auto:debian-bookworm-main").automatic())
		assert.Equal(t, "c;1;all;+auto:debian-bookworm-main", read("c;1;all;debian-bookworm-main").again(true))
		assert.Equal(t, "c;1;all;debian-bookworm-main", read("c;1;all;debian-bookworm-main").again(false))
	})

	t.Run("tells what no repository has", func(t *testing.T) {
		assert.True(t, read("c;1;all;auto:local").local())
		assert.True(t, read("c;1;all;local").local())
		assert.False(t, a.local())
		assert.False(t, read("c;1;x86_64;installed:fedora").local())
	})

	t.Run("what is none is an error", func(t *testing.T) {
		for _, text := range []string{"", "htop", "htop;1;amd64", "htop;1;amd64;a;b", ";1;all;local"} {
			_, err := parseID(text)
			assert.ErrorContains(t, err, "is no package id", text)
		}
	})
}

func signal(member string, body ...any) *dbus.Signal {
	return &dbus.Signal{Name: transaction + "." + member, Body: body}
}

func TestAnswer(t *testing.T) {
	hear := func(signals ...*dbus.Signal) (a answer, said []string) {
		for _, s := range signals {
			if text := a.hear(s); text != "" {
				said = append(said, text)
			}
		}
		return a, said
	}

	t.Run("packages come one by one or all at once, and how urgent an update is does not matter", func(t *testing.T) {
		a, _ := hear(signal("Package", uint32(1), "a;1;all;manual:x", "A"),
			signal("Packages", [][]any{{uint32(2), "a;2;all;x", "A"}, {uint32(7<<16 | 2), "b;1;all;x", "B"}}), signal("Package", uint32(2), "no id", ""))
		var found []string
		for _, f := range a.found {
			found = append(found, strings.Repeat("i", int(f.info))+" "+f.words())
		}
		assert.Equal(t, []string{"i a 1", "ii a 2", "ii b 1"}, found)
		assert.False(t, a.finished)
	})

	t.Run("ends with Finished, or with the transaction's end", func(t *testing.T) {
		a, _ := hear(signal("Finished", uint32(1), uint32(20)))
		assert.True(t, a.finished)
		assert.NoError(t, a.failure())
		a, _ = hear(signal("Destroy"))
		assert.True(t, a.finished)
		assert.ErrorContains(t, a.failure(), "PackageKit says no more than that it ended with exit code 0")
	})

	t.Run("says why it failed", func(t *testing.T) {
		for _, c := range []struct {
			want    string
			signals []*dbus.Signal
			exit    uint32
		}{
			{"no space", []*dbus.Signal{signal("ErrorCode", uint32(46), "E: no space\n")}, 2},
			{"first", []*dbus.Signal{signal("ErrorCode", uint32(58), "first"), signal("ErrorCode", uint32(4), "second")}, 2},
			{"the package system is locked: Could not get lock X. It is held by process 7 (apt). Wait until the other program has ended, and try again",
				[]*dbus.Signal{signal("ErrorCode", uint32(26), "E: Could not get lock X. It is held by process 7 (apt)\nW: Be aware\n")}, 2},
			{"a licence agreement has to be accepted first: acroread-eula of Adobe, for acroread;9;all;x. Accept it by hand, with pkcon(1)",
				[]*dbus.Signal{signal("EulaRequired", "acroread-eula", "acroread;9;all;x", "Adobe", "You agree to all")}, 5},
			{"it is not signed by somebody that the host trusts: a;1;all", []*dbus.Signal{signal("ErrorCode", uint32(50), "a;1;all")}, 2},
			{"it is not signed by somebody that the host trusts: PackageKit says no more", nil, 8},
			{"its dependencies cannot be had: a: Depends: b but it is not installable", []*dbus.Signal{signal("ErrorCode", uint32(13), "  a: Depends: b but it is not installable\n")}, 2},
			{"the host cannot do without it: dash", []*dbus.Signal{signal("ErrorCode", uint32(20), "dash")}, 2},
			{"somebody has cancelled it", nil, 3},
			{"PackageKit says no more than that it ended with exit code 2", nil, 2},
		} {
			a, _ := hear(append(c.signals, signal("Finished", c.exit, uint32(1)))...)
			assert.EqualError(t, a.failure(), c.want)
		}
	})

	t.Run("how it goes on is said once each, and what has to be started anew", func(t *testing.T) {
		status := func(s uint32) *dbus.Signal {
			return &dbus.Signal{Name: "org.freedesktop.DBus.Properties.PropertiesChanged",
				Body: []any{transaction, map[string]dbus.Variant{"Status": dbus.MakeVariant(s)}, []string{}}}
		}
		_, said := hear(status(30), status(27), status(30), signal("ItemProgress", "a;1;all;x", uint32(9), uint32(50)),
			signal("ItemProgress", "a;1;all;x", uint32(9), uint32(50)), signal("ItemProgress", "a;1;all;x", uint32(9), uint32(0)), signal("ItemProgress", "b;1;all;x", uint32(6), uint32(101)),
			signal("RequireRestart", uint32(4), "libc6;2;amd64;x"), signal("RequireRestart", uint32(1), "a;1;all;x"))
		assert.Equal(t, []string{"PackageKit: waiting for another package manager to end", "PackageKit: installing a 1, 50%", "PackageKit: removing b 1",
			"PackageKit: because of libc6 the system has to be started anew"}, said)
	})
}

func TestUnfinished(t *testing.T) {
	d := dpkg{t.TempDir()}
	write := func(name, text string) {
		path := filepath.Join(d.dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	states, err := d.unfinished()
	require.NoError(t, err, "without dpkg")
	assert.Empty(t, states)

	write("status", "Package: a\nStatus: install ok installed\n\nPackage: b\nStatus: deinstall ok config-files\n\nPackage: c\nStatus: install ok half-configured\n\n"+
		"Package: d\nStatus: install ok unpacked\nDescription: x\n Status: install ok unpacked\n\nPackage: e\nStatus: install reinstreq installed\n")
	states, err = d.unfinished()
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"c": "half-configured", "d": "unpacked", "e": "installed"}, states)

	write("updates/0000", "Package: c\nStatus: install ok installed\n\nPackage: a\nStatus: install reinstreq half-installed\n")
	write("updates/0001", "Package: d\nStatus: install ok half-configured\n")
	write("updates/tmp.i", "Package: b\nStatus: install ok half-configured\n")
	states, err = d.unfinished()
	require.NoError(t, err, "what came later counts")
	assert.Equal(t, map[string]string{"a": "half-installed", "d": "half-configured", "e": "installed"}, states)
}

func TestCheck(t *testing.T) {
	version, none := "1", ""
	for _, c := range []struct {
		want string
		of   Package
	}{
		{"", Package{Name: "htop", Version: &version}},
		{": Invalid package name", Package{Name: "a b"}},
		{": Invalid package name", Package{Name: "libc6:i386"}},
		{"version: Version of a package that is latest", Package{Name: "htop", Ensure: "latest", Version: &version}},
		{"version: Version of a package that is removed", Package{Name: "htop", Ensure: "removed", Version: &version}},
		{"ensure: Invalid ensure", Package{Name: "htop", Ensure: "absent"}},
		{"version: Invalid version", Package{Name: "htop", Version: &none}},
	} {
		said := ""
		c.of.Check(func(attr, summary, _ string) { said += attr + ": " + summary })
		assert.Equal(t, c.want, said, "%+v", c.of)
	}
}

func TestOwns(t *testing.T) {
	p := &packages{}
	one, two := "1", "2"
	live := func(ensure, version string) Package {
		l := Package{Name: "a", Ensure: ensure}
		if version != "" {
			l.Installed = id{"a", version, "all", ""}.kept()
		}
		return l
	}
	with := func(l Package, v *string) Package { l.Version = v; return l }
	for _, c := range []struct {
		what   string
		found  Package
		made   Package
		live   Package
		expect bool
	}{
		{"what was removed and was there", live("installed", "1"), live("removed", ""), live("removed", ""), true},
		{"what is as it was found", live("installed", "1"), live("installed", ""), live("installed", "1"), false},
		{"another version where none is managed", live("installed", "1"), live("installed", ""), live("installed", "2"), false},
		{"the latest, which it was not", live("installed", "1"), live("latest", ""), live("latest", "2"), true},
		{"what was the latest when it was found, and is still there", live("latest", "1"), live("latest", ""), live("installed", "1"), false},
		{"a version that was not there", with(live("installed", "1"), &one), with(live("installed", ""), &two), with(live("installed", "2"), &two), true},
		{"a version that was there", with(live("installed", "1"), &one), with(live("installed", ""), &two), with(live("installed", "1"), &one), false},
		{"what is half-configured", live("removed", ""), live("installed", ""), live("half-configured", ""), true},
	} {
		c.made.Found = &c.found
		assert.Equal(t, c.expect, p.Owns(&c.made, c.live), c.what)
	}
	assert.False(t, p.Owns(nil, live("installed", "1")))
	assert.True(t, p.Owns(&Package{Name: "a"}, live("installed", "1")))
}
