// Package store makes, opens and checks opdbus' store: where nodes' subvolumes, their snapshots, images and the state
// are. It needs btrfs. Where the store's directory is not on it, Init makes a btrfs file system in a sparse file beside
// the directory and mounts that there, now and at every boot, so that every guarantee holds on any host. Init also installs the unit
// that takes back at boot the run that was cut off.
//
// It imports state, state/durable and state/snapshot, go-systemd for the escaping of unit names, go-hclog and x/sys. It
// runs mkfs.btrfs(8) and mount(8).
package store
