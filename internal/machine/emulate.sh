#!/bin/sh
# emulate.sh CGROUP... -- EMULATOR ARGUMENT...: becomes the emulator, in cgroups of its own by which guard.sh ends it.
set -eu
while [ "$1" != -- ]; do
	mkdir "$1"
	echo $$ >"$1/cgroup.procs"
	shift
done
shift
exec "$@"
