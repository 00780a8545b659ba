#!/bin/busybox sh
# init.sh: is the first process of an emulated machine, in its initrd. It makes systemd be that on the machine's disk.
busybox() { /bin/busybox "$@"; }
busybox mount -t devtmpfs dev /dev
for module in $(/bin/busybox cat /modules/order); do
	busybox insmod "/modules/$module"
done
tries=0
while [ ! -b /dev/vda ] && [ "$tries" -lt 600 ]; do
	busybox sleep 0.1
	tries=$((tries + 1))
done
busybox mount -t btrfs -o noatime /dev/vda /root
busybox mount -o move /dev /root/dev
exec /bin/busybox switch_root /root /sbin/init
