package net

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.zx2c4.com/wireguard/wgctrl"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/opdbus/opdbus/internal/machine"
	"github.com/opdbus/opdbus/providers/internal/wireguard"
	"github.com/opdbus/opdbus/state/wgkey"
)

// A far end is a WireGuard device in a network namespace, which nobody but the test has made.
type far struct{ name, public, shared string }

// newFar makes the n-th: the namespace nN, in which the interface farN has 10.99.0.(N+1), and which 10.0.N.2 leads to.
func newFar(t *testing.T, dir string, n int, of string) far {
	t.Helper()
	f := far{name: fmt.Sprint("far", n), shared: filepath.Join(dir, fmt.Sprint("psk", n))}
	ns, link := fmt.Sprint("n", n), fmt.Sprint("f", n)
	for _, command := range []string{
		"netns add " + ns, "link add " + link + " type veth peer name u0 netns " + ns, "link set " + link + " up", fmt.Sprintf("addr add 10.0.%d.1/24 dev %s", n, link),
		fmt.Sprintf("-n %s addr add 10.0.%d.2/24 dev u0", ns, n), "-n " + ns + " link set u0 up", "-n " + ns + " link set lo up",
	} {
		ip(t, strings.Fields(command)...)
	}
	args := wireguard.Arguments{Name: f.name, Unfinished: "unfinished", Alias: "far"}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "ip", append([]string{"netns", "exec", ns, "opdbus"}, args.List()...)...)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		withoutNamespace(t, ns, link)
	})
	private, err := wgkey.New()
	require.NoError(t, err)
	f.public, err = private.Public()
	require.NoError(t, err)
	newKey(t, f.shared)
	shared, err := wgkey.Read(f.shared)
	require.NoError(t, err)
	key, psk, port := wgtypes.Key(private.Bytes()), wgtypes.Key(shared.Bytes()), 51820
	client, err := wgctrl.New()
	require.NoError(t, err)
	defer client.Close()
	require.Eventually(t, func() bool {
		return client.ConfigureDevice(f.name, wgtypes.Config{PrivateKey: &key, ListenPort: &port, Peers: []wgtypes.PeerConfig{{
			PublicKey: keyOf(t, of), PresharedKey: &psk, Endpoint: &net.UDPAddr{IP: net.IPv4(10, 0, byte(n), 1), Port: 51820}, AllowedIPs: netsOf("10.99.0.0/24"),
		}}}) == nil
	}, 10*time.Second, 10*time.Millisecond)
	ip(t, "-n", ns, "addr", "add", fmt.Sprintf("10.99.0.%d/24", n+1), "dev", f.name)
	ip(t, "-n", ns, "link", "set", f.name, "up")
	return f
}

// peer is the block that declares a far end.
func (f far) peer(n int, more string) string {
	return fmt.Sprintf(`
    peer "%s" {
      public_key         = "%s"
      preshared_key_file = "%s"
      endpoint           = "10.0.%d.2:51820"
      allowed_ips        = ["10.99.0.%d/32"]
      %s
    }`, f.name, f.public, f.shared, n, n+1, more)
}

// A caller runs opdbus, and remembers what it says.
type caller struct {
	t    *testing.T
	said *strings.Builder
}

func (c caller) opdbus(code int, args ...string) string {
	c.t.Helper()
	cmd := exec.Command("opdbus", append([]string{"--chdir", "/root/config", "--log-level", "trace", "--log-file", "/var/log/opdbus"}, args...)...)
	out, err := cmd.CombinedOutput()
	require.Equal(c.t, code, cmd.ProcessState.ExitCode(), "opdbus %v: %v: %s", args, err, out)
	c.said.Write(out)
	return string(out)
}

func (c caller) config(peers ...string) {
	c.t.Helper()
	require.NoError(c.t, os.MkdirAll("/root/config", 0o755))
	require.NoError(c.t, os.WriteFile("/root/config/main.hcl", []byte(`plugin "net" {}
network "vpn" {
  wireguard "wg0" {
    private_key_file = "/etc/wireguard/wg0.key"
    listen_port      = 51820
    addresses        = ["10.99.0.1/24"]`+strings.Join(peers, "")+`
  }
}
output "key" { value = wg_public_key("/etc/wireguard/wg0.key") }
`), 0o644))
}

// pings sends so many packets 50 ms apart, has something done meanwhile, and tells how many came back.
func pings(t *testing.T, count int, to string, meanwhile func()) string {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command("ping", "-n", "-i", "0.05", "-W", "5", "-c", fmt.Sprint(count), to)
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	time.Sleep(500 * time.Millisecond)
	meanwhile()
	require.NoError(t, cmd.Wait(), "%s", &out)
	return regexp.MustCompile(`\d+ packets transmitted, \d+ received`).FindString(out.String())
}

// TestOnMachineTunnel has opdbus, as its users run it, make tunnels to two namespaces, and looks for keys in all that it has written.
func TestOnMachineTunnel(t *testing.T) {
	if !machine.Inside() {
		t.Skip("runs on a machine, by TestMachine")
	}
	dir := t.TempDir()
	c := caller{t, &strings.Builder{}}
	c.config()
	c.opdbus(0, "init")
	before := wireguardWorld(t)
	require.NoError(t, os.MkdirAll("/etc/wireguard", 0o700))

	said := c.opdbus(1, "plan")
	assert.Contains(t, said, "main.hcl line 9")
	assert.Contains(t, said, "opdbus wg genkey /etc/wireguard/wg0.key")
	assert.Contains(t, c.opdbus(0, "validate"), "The configuration is valid.")
	public := lastLine(c.opdbus(0, "wg", "genkey", "/etc/wireguard/wg0.key"))
	assert.Equal(t, public, lastLine(c.opdbus(0, "wg", "pubkey", "/etc/wireguard/wg0.key")))
	one, two := newFar(t, dir, 1, public), newFar(t, dir, 2, public)
	ends := wireguardWorld(t)

	c.config(one.peer(1, "keepalive = 25"))
	assert.Contains(t, c.opdbus(0, "plan", "--out", filepath.Join(dir, "plan")), public)
	c.opdbus(0, "plan", "--json")
	c.opdbus(0, "apply", "--auto-approve", filepath.Join(dir, "plan"))
	assert.Equal(t, "20 packets transmitted, 20 received", pings(t, 20, "10.99.0.2", func() {}))
	c.opdbus(0, "plan", "--detailed-exitcode")
	alone := wireguardWorld(t)

	t.Run("changing a peer loses no packet of another", func(t *testing.T) {
		for what, two := range []string{two.peer(2, ""), two.peer(2, "keepalive = 5"), ""} {
			c.config(two, one.peer(1, "keepalive = 25"))
			got := pings(t, 100, "10.99.0.2", func() { c.opdbus(0, "apply", "--auto-approve") })
			t.Log([]string{"added", "changed", "removed"}[what], got)
			assert.Equal(t, "100 packets transmitted, 100 received", got)
		}
	})

	c.config(one.peer(1, "keepalive = 25"), two.peer(2, ""))
	c.opdbus(0, "apply", "--auto-approve")
	assert.Equal(t, "20 packets transmitted, 20 received", pings(t, 20, "10.99.0.3", func() {}))
	c.opdbus(0, "plan", "--detailed-exitcode")
	assert.Contains(t, c.opdbus(0, "query", "--plugin", "net"), "wg0")
	c.opdbus(0, "rollback", "network.vpn", "--auto-approve")
	assert.Equal(t, alone, wireguardWorld(t))
	c.opdbus(0, "release")

	c.config(one.peer(1, "keepalive = 25"))
	configure(t, "wg0", wgtypes.PeerConfig{PublicKey: wgtypes.Key{9}, PresharedKey: &wgtypes.Key{8}})
	drift := c.opdbus(2, "drift")
	assert.Contains(t, drift, `network.vpn.wireguard["wg0"]  peer`)
	assert.Contains(t, drift, `"public_key": "`+wgtypes.Key{9}.String())
	c.opdbus(0, "apply", "--auto-approve")
	assert.Equal(t, alone, wireguardWorld(t))
	c.opdbus(0, "drift")

	t.Run("what fails is taken back", func(t *testing.T) {
		c := caller{t, c.said}
		c.config(one.peer(1, "keepalive = 7"), strings.Replace(two.peer(2, ""), "10.0.2.2:", "nowhere.invalid:", 1))
		assert.Contains(t, c.opdbus(5, "apply", "--auto-approve"), "cannot find the address of its endpoint")
		assert.Equal(t, alone, wireguardWorld(t))
		c.opdbus(0, "release")
	})

	t.Run("a key that was changed is a change, and undone with the key that was", func(t *testing.T) {
		c := caller{t, c.said}
		c.config(one.peer(1, "keepalive = 25"))
		require.NoError(t, os.Rename("/etc/wireguard/wg0.key", "/etc/wireguard/old.key"))
		fresh := lastLine(c.opdbus(0, "wg", "genkey", "/etc/wireguard/wg0.key"))
		plan := c.opdbus(2, "plan", "--detailed-exitcode")
		assert.Contains(t, plan, public)
		assert.Contains(t, plan, fresh)
		assert.Contains(t, plan, "ends the sessions of all peers of wg0")
		c.opdbus(0, "apply", "--auto-approve")
		c.opdbus(0, "undo", "--auto-approve")
		assert.Equal(t, alone, wireguardWorld(t))
		c.opdbus(0, "release")
	})

	for _, args := range [][]string{{"history", "--json"}, {"state", "list"}, {"state", "show", "network.vpn"}, {"query", "--plugin", "net", "--json"}} {
		c.opdbus(0, args...)
	}
	kept, err := filepath.Glob(runtimeDir + "/*-*")
	require.NoError(t, err)
	assert.Len(t, kept, 2, "the private key that was replaced, and the preshared one that somebody had brought: those of files are there")
	nowhereIs(t, c.said.String(), "/etc/wireguard/old.key", "/etc/wireguard/wg0.key", one.shared, two.shared)
	c.opdbus(0, "destroy", "--auto-approve")
	assert.Equal(t, ends, wireguardWorld(t))
	assert.NotEqual(t, before, ends)
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// nowhereIs looks for the keys in files in what was said, in all that opdbus has written, and in the machine's journal.
func nowhereIs(t *testing.T, said string, files ...string) {
	t.Helper()
	journal, err := exec.Command("journalctl", "--no-pager", "--output=export").CombinedOutput()
	require.NoError(t, err)
	all := map[string][]byte{"what was said": []byte(said), "the journal": journal}
	for _, dir := range []string{"/var/lib/op-dbus", "/etc/op-dbus", "/var/log", "/run/systemd"} {
		require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil
			}
			all[path], err = os.ReadFile(path)
			return err
		}))
	}
	k, err := wgkey.Read(files[0])
	require.NoError(t, err)
	public, err := k.Public()
	require.NoError(t, err)
	assert.Contains(t, string(all["/var/lib/op-dbus/state/ledger.json"]), public, "what is no secret is found")
	for _, file := range files {
		k, err := wgkey.Read(file)
		require.NoError(t, err)
		raw := k.Bytes()
		for place, content := range all {
			for _, form := range []string{string(raw[:]), hex.EncodeToString(raw[:]), base64.StdEncoding.EncodeToString(raw[:])[:42], base64.URLEncoding.EncodeToString(raw[:])[:42]} {
				assert.False(t, bytes.Contains(content, []byte(form)), "the key of %s is in %s", file, place)
			}
		}
	}
}
