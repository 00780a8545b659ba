package net

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// namespaces is where named network namespaces are (ip-netns(8)).
const namespaces = "/run/netns"

// checkNamespace finds what is no name of a network namespace; an empty one stands for that of the host.
func checkNamespace(name *string, report func(attr, summary, detail string)) {
	if n := deref(name); strings.Contains(n, "/") || n == "." || n == ".." {
		report("netns", "Invalid name of a network namespace", fmt.Sprintf("%q is none: it is one that ip netns shows.", n))
	}
}

// A noNamespaceError says that there is no network namespace of a name.
type noNamespaceError string

func (e noNamespaceError) Error() string {
	return fmt.Sprintf("there is no network namespace %s: ip netns add %[1]s makes it, until the host boots", string(e))
}

// inside does something in a named network namespace; in that of the host for an empty name.
func inside(netns string, do func() error) error {
	if netns == "" {
		return do()
	}
	file, err := os.Open(filepath.Join(namespaces, netns))
	if errors.Is(err, fs.ErrNotExist) {
		return noNamespaceError(netns)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this, as nothing else may go on in the namespace
		err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			err = do()
		} else {
			err = fmt.Errorf("cannot enter network namespace %s: %w", netns, explained(err))
		}
		done <- err
	}()
	return <-done
}

// maybeInside is inside, where a namespace that is not there has nothing in it.
func maybeInside(netns string, do func() error) error {
	err := inside(netns, do)
	var none noNamespaceError
	if errors.As(err, &none) {
		return nil
	}
	return err
}

// among says in which of some network namespaces there is a link, the first that has it.
func among(link string, some ...string) (netns string, there bool, err error) {
	for _, netns := range some {
		err := maybeInside(netns, func() error {
			l, err := find(link)
			there = l != nil
			return err
		})
		if err != nil || there {
			return netns, there, err
		}
	}
	return "", false, nil
}

// place has a link of a switch be in a network namespace, and up, with the addresses that it has where it is now, which is one of some. A link that is in
// the host's is the one that the switch knows of: it makes none elsewhere.
func place(link, to string, some ...string) error {
	some = append([]string{"", to}, some...)
	from, there, err := among(link, some...)
	if err != nil || !there && to == "" { // one that somebody gave to another namespace is theirs
		return err
	}
	if !there {
		return fmt.Errorf("ovs-vswitchd has made no link %s", link)
	}
	addresses, err := abandoned(link, from, some...)
	if err != nil {
		return err
	}
	if from != to {
		more, err := move(link, from, to)
		if err != nil {
			return err
		}
		addresses = append(addresses, more...)
	}
	return inside(to, func() error {
		l, err := needed(link)
		if err != nil {
			return err
		}
		for _, a := range addresses {
			if err := netlink.AddrAdd(l, &netlink.Addr{IPNet: a.IPNet}); err != nil && !errors.Is(err, unix.EEXIST) {
				return fmt.Errorf("cannot put address %s back: %w", a.IPNet, err)
			}
		}
		return netlink.LinkSetUp(l)
	})
}

// abandoned removes links that a daemon which was killed has left behind in some network namespaces, besides the one in which the link is now, and
// says which addresses they had: those of its datapath are taps that stay, and nothing is at their other end.
func abandoned(link, is string, some ...string) (had []netlink.Addr, err error) {
	for _, netns := range some {
		if netns == is {
			continue
		}
		err := maybeInside(netns, func() error {
			l, err := find(link)
			if err != nil || l == nil {
				return err
			}
			if tap, ok := l.(*netlink.Tuntap); !ok || tap.Mode != netlink.TUNTAP_MODE_TAP || l.Attrs().RawFlags&unix.IFF_LOWER_UP != 0 {
				return nil // which is somebody's
			}
			all, err := lasting(l)
			if err != nil {
				return err
			}
			had = append(had, all...)
			return netlink.LinkDel(l)
		})
		if err != nil {
			return nil, err
		}
	}
	return had, nil
}

// lasting are the addresses of a link that the kernel does not make by itself.
func lasting(l netlink.Link) ([]netlink.Addr, error) {
	all, err := dump("addresses", func() ([]netlink.Addr, error) { return netlink.AddrList(l, netlink.FAMILY_ALL) })
	return slices.DeleteFunc(all, func(a netlink.Addr) bool { return a.Scope != int(netlink.SCOPE_UNIVERSE) }), err
}

// move gives a link to another network namespace, and says which addresses it has lost by that.
func move(link, from, to string) (lost []netlink.Addr, err error) {
	target := "/proc/thread-self/ns/net" // that of the process may be another: its first thread does not end when it was in one
	if to != "" {
		target = filepath.Join(namespaces, to)
	}
	file, err := os.Open(target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noNamespaceError(to)
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	err = inside(from, func() error {
		l, err := needed(link)
		if err == nil {
			lost, err = lasting(l)
		}
		if err != nil {
			return err
		}
		err = netlink.LinkSetNsFd(l, int(file.Fd()))
		if errors.Is(err, unix.EEXIST) {
			err = fmt.Errorf("there is another link %s in network namespace %s: %w", link, to, err)
		}
		return err
	})
	return lost, err
}
