// Package machine boots a Linux machine of its own for a test: a Debian with systemd as PID 1 and btrfs as its root, of the release
// that the host runs. It is imported by tests only.
//
// What it boots is an image that is built once (mmdebstrap(1)), kept in the user's cache directory, and copied for each machine. What
// boots it is systemd-nspawn(1), with the capabilities that it gives by default and with a network, mounts and processes of the
// machine's own. Neither systemd nor D-Bus need run on the host. A machine is removed when its test ends, whatever the test does, also
// when the test's process is killed.
//
// It imports testify, golang.org/x/sys and state/snapshot/snapshottest, and needs root.
package machine
