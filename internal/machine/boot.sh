#!/bin/sh
# boot.sh NAME IMAGE CGROUP...: is the machine. Whoever kills this process kills the machine, and its mounts and loop device go too.
set -eu
if [ "$1" != inside ]; then
	name=$1 image=$2
	shift 2
	# In cgroups of its own in each hierarchy: systemd-nspawn makes those of the machine below that which it is in.
	for cgroup; do
		mkdir "$cgroup"
		echo $$ >"$cgroup/cgroup.procs"
	done
	# Mounts of its own, else machines pin each other's images, as systemd-nspawn copies the host's mounts. Processes of its own, else
	# the machine outlives systemd-nspawn.
	exec unshare --mount --propagation private --pid --fork --kill-child=KILL --mount-proc sh "$0" inside "$name" "$image"
fi

name=$2 image=$3
mount -t tmpfs -o mode=755 tmpfs /run # for /run/systemd/nspawn, which is the host's otherwise
mkdir /run/machine
mount -t btrfs -o loop,noatime,compress=zstd:1 "$image" /run/machine # the default subvolume, as a boot loader does that is told of none
mount -t btrfs -o noatime,compress=zstd:1,subvol=@op-dbus "$(findmnt -nvo SOURCE /run/machine)" /run/machine/var/lib/op-dbus
# cgroup2 alone inside, as on any host of today. No more capabilities than by default: with CAP_SYS_TIME a machine could set the host's
# clock. Neither machined nor D-Bus of the host is spoken to, and nothing of its configuration gets in.
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
exec systemd-nspawn --quiet --directory=/run/machine --machine="$name" --boot --register=no --keep-unit --notify-ready=yes \
	--private-network --console=pipe --resolv-conf=off --timezone=off --link-journal=no
