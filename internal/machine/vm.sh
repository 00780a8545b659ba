#!/bin/sh
# vm.sh DIR BASE PACKAGE INIT: makes what an emulated machine boots in DIR: vmlinuz and initrd, and disk.img, a copy of the image BASE
# with the kernel's modules. PACKAGE is the one that depends on the kernel's, and INIT the text of init.sh. It runs in a mount namespace of
# its own, which takes its mounts with it. The kernel comes from where the host has its packages from.
set -eu
dir=$1 base=$2 package=$3 init=$4

work=$dir/work
mkdir "$work"
mount -t tmpfs -o mode=755 tmpfs "$work"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/kernel" "$work/root"

# Lists of its own: those of the host may be old, and name packages that are there no more.
get() {
	tool=$1
	shift
	"$tool" -qq -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none \
		-o Acquire::Retries=5 "$@"
}
cd "$work"
get apt-get update
kernel=$(get apt-cache depends "$package" | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
[ -n "$kernel" ] || { echo "where the host has its packages from, there is no $package"; exit 1; }
get apt-get download "$kernel"
dpkg-deb -x "$kernel"_*.deb kernel
cp kernel/boot/vmlinuz-* "$dir/vmlinuz"
modules=$(ls -d kernel/lib/modules/* kernel/usr/lib/modules/* 2>/dev/null | head -n 1)
[ -n "$modules" ] || { echo "the package $kernel has no modules"; exit 1; }
release=$(basename "$modules")

cp --sparse=always --reflink=auto "$base" "$dir/disk.img"
mount -t btrfs -o loop,noatime,compress=zstd:1 "$dir/disk.img" root
mkdir -p root/lib/modules
cp -r "$modules" root/lib/modules
inside() { chroot "$work/root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"; }
inside depmod "$release"
printf '%s\n' '/dev/vda / btrfs noatime 0 0' '/dev/vda /var/lib/op-dbus btrfs noatime,subvol=@op-dbus 0 0' >root/etc/fstab

# The initrd is made by the tools that are on the machine: the host need not have them. What it is made with, ldd(1) knows.
mkdir root/initrd
cd root/initrd
mkdir dev root modules
inside sh -c 'tar --create --dereference /bin/busybox $(ldd /bin/busybox | grep -o "/[^ ]*") 2>/dev/null | tar --extract --directory /initrd'
inside sh -c "for module in virtio_pci virtio_blk btrfs; do modprobe --set-version $release --show-depends \$module; done" |
	awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r module; do
	cp "../$module" modules
	basename "$module" >>modules/order
done
echo "$init" >init
chmod 755 init
cd ../..
inside sh -c 'cd /initrd && find . | busybox cpio -o -H newc 2>/dev/null' >"$dir/initrd"
rm -r root/initrd
umount root
cd /
umount "$work"
rmdir "$work"
