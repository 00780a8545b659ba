#!/bin/sh
# base.sh IMAGE SUITE PACKAGE,... REPOSITORY: makes a btrfs image whose default subvolume @rootfs is a Debian that systemd-nspawn boots, and
# whose subvolume @op-dbus is mounted where the store is, as a host's that has its root snapshotted. It runs
# in a mount namespace of its own, which takes its mounts with it. The packages come from where the host has its own from. REPOSITORY
# is the text of repository.sh.
set -eu
image=$1 suite=$2 packages=$3 repository=$4

sources=/etc/apt/sources.list.d/$(sed -n 's/^ID=//p' /etc/os-release).sources
[ -e "$sources" ] || sources=/etc/apt/sources.list

mount -t tmpfs -o mode=755 tmpfs /run # the work is done in memory, as dpkg syncs a lot
mkdir -m 1777 /run/tmp
mkdir /run/btrfs
truncate -s 8G "$image"
mkfs.btrfs --quiet "$image"
mount -t btrfs -o loop,noatime,compress=zstd:1 "$image" /run/btrfs
btrfs --quiet subvolume create /run/btrfs/@rootfs
btrfs --quiet subvolume create /run/btrfs/@op-dbus
btrfs subvolume set-default /run/btrfs/@rootfs
root=/run/btrfs/@rootfs

# Documentation is left out here and not by options for dpkg, for which mmdebstrap would pass each package through a filter that takes
# longer than all the rest.
TMPDIR=/run/tmp mmdebstrap --quiet --variant=essential --format=tar --include="$packages" \
	--aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "5"' "$suite" /run/tmp/base.tar "$sources"
tar -C "$root" --numeric-owner --xattrs --xattrs-include='*' --anchored --wildcards --exclude='./usr/share/doc/*' \
	--exclude='./usr/share/info/*' --exclude='./usr/share/locale/*' --exclude='./usr/share/man/*' -xf /run/tmp/base.tar

# Nothing starts by itself that a test does not ask for, and each machine gets an identity of its own when it first boots.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer; do
	ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
rm -f "$root"/etc/systemd/system/*.wants/openvswitch-switch.service "$root"/etc/systemd/system/*.wants/ovs-record-hostname.service
ln -sf ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
mkdir "$root/var/lib/op-dbus"
echo machine >"$root/etc/hostname"
: >"$root/etc/machine-id"
chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 sh -c "$repository"
umount /run/btrfs
