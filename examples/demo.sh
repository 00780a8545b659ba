#!/usr/bin/env bash
# Plans and applies examples/staging-guide into a scratch root, shows what came of it, and removes everything again, after
# a failure or Ctrl-C too. The host itself is not touched, but for a loop device while it runs.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "demo: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "needs root, since it mounts a btrfs image and makes snapshots in it: sudo ./justw demo"
[ -x bin/opdbus ] || fail "bin/opdbus is missing: ./justw demo builds it first"

PATH=$PWD/bin:$PATH
root=$(mktemp -d "${TMPDIR:-/tmp}/opdbus-demo.XXXXXX")

clean_up() {
	status=$?
	trap '' INT TERM HUP
	store=$root/var/lib/op-dbus
	while mountpoint -q "$store"; do
		umount "$store" 2>/dev/null || umount --lazy "$store"
	done
	rm -rf --one-file-system "$root"
	[ "$status" = 0 ] && printf '\nThe scratch root is unmounted and removed.\n'
	exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say() { printf '\n== %s\n' "$*"; }
run() { # a command, shown before it runs
	printf '$ %s\n' "$*"
	"$@"
}

mkdir "$root/etc"
echo demo >"$root/etc/hostname"
export OPDBUS_ROOT=$root

say "A scratch root stands for the host: $root. OPDBUS_ROOT says so to opdbus."

say "Make the store. Where it would not be on btrfs, an image that is gets mounted there."
run opdbus init

say "What would be done?"
run opdbus plan examples/staging-guide

say "Do it: in dependency order, each stage between two read-only snapshots. (apply shows the plan again, which is left out here.)"
echo '$ opdbus apply --auto-approve examples/staging-guide'
opdbus apply --auto-approve examples/staging-guide | sed -n '/^Applied/p'

say "The links and copies, as the file system has them."
(cd "$root" && find usr etc/motd.d etc/sysctl.d etc/modules-load.d etc/op-dbus -type l -printf '/%p -> %l\n' -o -type f -printf '/%p (%m, %s bytes)\n' | sort)

say "One of the plugin registrations, and the mark of a deployed stage."
run cat "$root/etc/op-dbus/plugins/lxc.toml"
run cat "$root/var/lib/op-dbus/staging/stage-2-plugins/.deployed"

say "The snapshots."
run opdbus snapshots

say "Is everything as it should be?"
run opdbus verify --config examples/staging-guide

say "A second plan: there is nothing left to do."
run opdbus plan --detailed-exitcode examples/staging-guide

say "Somebody deletes a link. The plan says what differs, and apply puts it back."
run rm "$root/usr/local/bin/op-dbus"
run opdbus apply --auto-approve examples/staging-guide
run readlink "$root/usr/local/bin/op-dbus"
