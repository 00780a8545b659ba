#!/bin/sh
# guard.sh DIR CGROUP...: removes a machine. It waits until its standard input ends: the test ends it, or the kernel when the test's
# process is gone. Each CGROUP is the beginning of the paths of the machine's cgroups in a hierarchy.
set -eu
dir=$1
shift
cat >/dev/null

for prefix; do
	for cgroup in "$prefix".*; do
		[ ! -e "$cgroup/cgroup.kill" ] || echo 1 >"$cgroup/cgroup.kill"
	done
done
tries=0
for prefix; do
	for cgroup in "$prefix".*; do
		# A cgroup is busy for a moment after the last process in it was killed.
		while [ -d "$cgroup" ] && ! find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null; do
			tries=$((tries + 1))
			[ "$tries" -lt 500 ] || { echo "cannot remove $cgroup: it is still in use"; exit 1; }
			sleep 0.02
		done
	done
done
rm -rf "$dir"
