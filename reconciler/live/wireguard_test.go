package live_test

import (
	"strings"
	"testing"
)

// vpn is a WireGuard interface with two peers, one of which has a preshared key.
const vpn = `
network "vpn" {
  wireguard "wg0" {
    private_key_file = "/etc/wireguard/wg0.key"
    listen_port      = 51820
    addresses        = ["10.99.0.1/24"]
    peer "a" {
      public_key         = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="
      preshared_key_file = "/etc/wireguard/a.psk"
      endpoint           = "192.0.2.1:51820"
      allowed_ips        = ["10.99.0.2/32"]
    }
    peer "b" {
      public_key  = "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08="
      allowed_ips = ["10.99.0.3/32"]
    }
  }
}
`

// TestKillWireGuard is TestKill for a WireGuard interface: what is half made goes, with the unit that runs it where the kernel does not.
func TestKillWireGuard(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Do("sh", "-c", "mkdir -m 700 /etc/wireguard; opdbus wg genkey /etc/wireguard/wg0.key; opdbus wg genkey /etc/wireguard/a.psk")
	h.killEach(vpn, 12, func() string {
		var lines []string
		for line := range strings.Lines(h.Do("sh", "-c", "opdbus query --plugin net; ls -A /run/wireguard; systemctl list-units --all --plain --no-legend 'opdbus-wireguard-*'")) {
			if !strings.Contains(line, "fe80::") { // of the interface, and another each time
				lines = append(lines, line)
			}
		}
		return h.network() + strings.Join(lines, "")
	})
}
