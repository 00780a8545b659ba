// Package machine boots a Linux machine of its own for a test: a Debian with systemd as PID 1 and btrfs as its root, of the release
// that the host runs. It is imported by tests only.
//
// What it boots is an image that is built once (mmdebstrap(1)), kept in the user's cache directory, and copied for each machine. What
// boots it is systemd-nspawn(1), with the capabilities that it gives by default and with a network, mounts and processes of the
// machine's own. Neither systemd nor D-Bus need run on the host. A machine is removed when its test ends, whatever the test does, also
// when the test's process is killed.
//
// The machine has dbus, logind, resolved, hostnamed, polkit and PackageKit. Logind and polkit look up who speaks to them, and see nobody
// of the host: what is to speak to the machine's services runs on it, tests too. RunTests runs them there:
//
//	func TestMachine(t *testing.T) { machine.RunTests(t, machine.New(t), "^TestOnMachine") }
//
//	func TestOnMachineThatUnitsStart(t *testing.T) {
//		if !machine.Inside() {
//			t.Skip("runs on the machine, by TestMachine")
//		}
//		...
//	}
//
// It has no network. apt and PackageKit know the packages in /srv/packages (repository.sh) and no others:
//
//	opdbus-test-a 1.0, 1.1    the newer is installed unless one says otherwise
//	opdbus-test-b             depends on opdbus-test-c
//	opdbus-test-conf          has the configuration file /etc/opdbus-test.conf
//	opdbus-test-rival         conflicts with opdbus-test-a
//	opdbus-test-lost          depends on what there is not
//	opdbus-test-broken        fails when it is set up; `dpkg --remove` helps
//	opdbus-test-slow          is installed for as long as /run/opdbus-test-slow is there
//
// PackageKit refuses to refresh what it knows where no route leads out; apt-get update does, and so does PackageKit on a machine with a
// default route, which may lead nowhere:
//
//	ip link add out type veth peer name nowhere && ip link set out up && ip route add default dev out
//
// What needs more than the host's kernel has, or a clock to set, runs on a machine whose processor QEMU emulates, with the kernel of the
// release for virtual machines (vm.sh) on the same image, and with udev. It is slower by a factor of ten, and there is one at a time on a host:
//
//	func TestEmulated(t *testing.T) { machine.RunTests(t, machine.NewEmulated(t), "^TestOnEmulated") }
//
//	func TestOnEmulatedThatBondsAreMade(t *testing.T) {
//		if !machine.Emulated() {
//			t.Skip("runs on the emulated machine, by TestEmulated")
//		}
//		...
//	}
//
// It is booted once, when its base is built: each is a copy of the disk and the memory of that moment, with the host's time. It has no network
// card; qemu-guest-agent(8) runs commands on it, and files get there over a second disk.
//
// It imports testify, golang.org/x/sys and state/snapshot/snapshottest, and needs root.
package machine
