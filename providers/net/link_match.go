package net

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A Match finds a link that is there by what it is, whatever the kernel calls it. All that is set has to fit.
type Match struct {
	MAC  *string `hcl:"mac,optional" json:"mac,omitempty"`
	Path *string `hcl:"path,optional" json:"path,omitempty"`
}

// check finds what no match can be.
func (m Match) check(report func(attr, summary, detail string)) {
	if m.MAC == nil && m.Path == nil {
		report("match", "Empty match", "It says by what the link is found: set mac, path or both.")
	}
	if m.MAC != nil {
		if mac, err := net.ParseMAC(*m.MAC); err != nil || len(mac) != 6 {
			report("match", "Invalid MAC address", fmt.Sprintf("%q is no MAC address of a link, such as 02:00:00:00:00:01.", *m.MAC))
		}
	}
	if m.Path != nil {
		if _, err := path.Match(*m.Path, ""); err != nil || *m.Path == "" {
			report("match", "Invalid path", fmt.Sprintf("%q is no pattern for udev's ID_PATH of a link, such as pci-0000:03:00.0 or pci-0000:03:*.", *m.Path))
		}
	}
}

// borrowers are the kinds of links that have the mac of another, which they are made on or have taken in.
func borrowers() []string {
	return []string{"vlan", "macvlan", "macvtap", "ipvlan", "bond", "team", "bridge"}
}

// How well a link fits.
const (
	unfit = iota
	byMAC
	byPermanentMAC
)

func (m Match) fits(l netlink.Link) (int, error) {
	fit := byMAC
	at := l.Attrs()
	if m.MAC != nil {
		mac, err := net.ParseMAC(*m.MAC)
		switch {
		case err != nil:
			return unfit, err
		case at.PermHWAddr.String() == mac.String():
			fit = byPermanentMAC
		case at.HardwareAddr.String() != mac.String(), slices.Contains(borrowers(), l.Type()):
			return unfit, nil
		}
	}
	if m.Path != nil {
		is, err := idPath(udevData, at.Index)
		if err != nil {
			return unfit, err
		}
		if fits, err := path.Match(*m.Path, is); err != nil || !fits || is == "" {
			return unfit, err
		}
	}
	return fit, nil
}

// idPath is where a link is attached, as udev's database has it (ID_PATH); empty for one that is attached nowhere.
func idPath(database string, index int) (string, error) {
	if _, err := os.Stat(database); err != nil {
		return "", fmt.Errorf("no path of a link is known, as udev does not run: match it by mac: %w", err)
	}
	data, err := os.ReadFile(fmt.Sprintf("%s/n%d", database, index))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for line := range strings.Lines(string(data)) {
		if is, found := strings.CutPrefix(strings.TrimSpace(line), "E:ID_PATH="); found {
			return is, nil
		}
	}
	return "", nil
}

// locate is the link that l is about: nil when there is none.
func (l Link) locate(all table) (netlink.Link, error) {
	named := all.named[l.Name]
	if l.Match == nil {
		return named, nil
	}
	best, found := byMAC, []netlink.Link(nil)
	for _, link := range all.numbered {
		fit, err := l.Match.fits(link)
		if err != nil {
			return nil, fmt.Errorf("cannot find link %s: %w", l.Name, err)
		}
		if fit > best {
			best, found = fit, nil
		}
		if fit == best {
			found = append(found, link)
		}
	}
	isNamed := func(link netlink.Link) bool { return link == named }
	switch {
	case len(found) == 1:
		return found[0], nil
	case slices.ContainsFunc(found, isNamed):
		return named, nil
	case len(found) > 1:
		names := make([]string, len(found))
		for i, link := range found {
			names[i] = link.Attrs().Name
		}
		slices.Sort(names)
		return nil, fmt.Errorf("cannot find link %s: what it is to match fits %s: say more of it in match", l.Name, strings.Join(names, " and "))
	case named != nil && named.Attrs().Name != l.Name && l.MAC != nil && strings.EqualFold(named.Attrs().HardwareAddr.String(), *l.MAC):
		return named, nil // it has another mac since, which it was to have
	}
	return nil, nil
}

// there looks it up in the kernel.
func (l Link) there() (netlink.Link, error) {
	if l.Match == nil {
		return find(l.Name)
	}
	all, err := allLinks()
	if err != nil {
		return nil, err
	}
	return l.locate(all)
}

// names are all of a link: what the kernel calls it, and its alternative names.
func names(l netlink.Link) []string { return append([]string{l.Attrs().Name}, l.Attrs().AltNames...) }

// name gives a link that was matched the name by which it is declared, besides the one that it has, as others on the host know it by that; or
// takes it away again.
func (l Link) name(link netlink.Link) error {
	switch has := slices.Contains(names(link), l.Name); {
	case l.Unnamed && slices.Contains(link.Attrs().AltNames, l.Name):
		return netlink.LinkDelAltName(link, l.Name)
	case l.Unnamed || l.Match == nil || has:
		return nil
	}
	switch err := netlink.LinkAddAltName(link, l.Name); {
	case errors.Is(err, unix.EEXIST):
		return fmt.Errorf("%s cannot have that name too, which another link has", link.Attrs().Name)
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%s cannot have another name: the kernel is older than Linux 5.5", link.Attrs().Name)
	default:
		return err
	}
}
