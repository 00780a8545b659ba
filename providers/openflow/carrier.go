package openflow

import (
	"context"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// carrier is the bridge by which packets to an address go; empty where they go by another link. It is found out once.
func (s *vswitch) carrier(ctx context.Context, to netip.Addr) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.carries != nil {
		return *s.carries, nil
	}
	found := ""
	routes, err := netlink.RouteGet(to.AsSlice())
	if err == nil && len(routes) > 0 { // otherwise there is no way to it any more
		link, err := net.InterfaceByIndex(routes[0].LinkIndex)
		if err != nil {
			return "", err
		}
		known, err := s.bridges(ctx)
		if err != nil {
			return "", err
		}
		for name, b := range known {
			if _, is := b.ports[link.Name]; is || name == link.Name {
				found = name
			}
		}
	}
	s.carries = &found
	return found, nil
}
