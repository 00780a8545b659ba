package providertest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/snapshot"
	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

// Host is a root with a store on a btrfs of its own.
func Host(t testing.TB) state.Host {
	t.Helper()
	root := filepath.Join(snapshottest.Mount(t, 4096), "root")
	host := state.Host{Root: root, Store: "/var/lib/op-dbus", Registry: "/etc/op-dbus/plugins", Subvolumes: snapshot.Btrfs{}}
	for _, dir := range []string{"/var/lib/op-dbus/staging/snapshots", "/var/lib/op-dbus/state", "/etc", "/usr/local/bin", "/tmp"} {
		require.NoError(t, os.MkdirAll(host.Path(dir), 0o755))
	}
	return host
}

// Site makes a node's subvolume in the host's store.
func Site(t testing.TB, host state.Host, node state.NodeAddr) state.Site {
	t.Helper()
	staging := host.Path(host.Store + "/staging")
	site := state.Site{Node: node, Run: 1, Dir: filepath.Join(staging, node.Dir()), Beside: filepath.Join(staging, "."+node.Dir()+".beside")}
	require.NoError(t, host.Subvolumes.Create(site.Dir))
	return site
}

// Write writes a file with the directories above it.
func Write(t testing.TB, path, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}
