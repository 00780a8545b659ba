#!/bin/sh
# repository.sh: runs in the root of the machine to be. Makes a repository of small packages in /srv/packages, and has apt, and so
# PackageKit, know it and no other: tests install and remove real packages without a network.
set -eu
repository=/srv/packages
work=$(mktemp -d)
mkdir -p "$repository"

# package NAME VERSION [FIELD...] builds $work/NAME, with a file that tells the version, and with what was put there before.
package() {
	name=$1 version=$2 dir=$work/$1
	shift 2
	mkdir -p "$dir/DEBIAN" "$dir/usr/share/$name"
	echo "$version" >"$dir/usr/share/$name/version"
	{
		printf '%s\n' "Package: $name" "Version: $version" "Architecture: all" "Maintainer: opdbus <opdbus@example.org>"
		for field; do echo "$field"; done
		printf '%s\n' "Description: $name, for tests" " It does nothing."
	} >"$dir/DEBIAN/control"
	dpkg-deb --root-owner-group --build "$dir" "$repository" >/dev/null
}

# script NAME SCRIPT LINE writes a maintainer script.
script() {
	mkdir -p "$work/$1/DEBIAN"
	printf '#!/bin/sh\nset -e\n%s\n' "$3" >"$work/$1/DEBIAN/$2"
	chmod 755 "$work/$1/DEBIAN/$2"
}

package opdbus-test-a 1.0
package opdbus-test-a 1.1
package opdbus-test-b 1.0 "Depends: opdbus-test-c"
package opdbus-test-c 1.0
package opdbus-test-lost 1.0 "Depends: opdbus-test-nowhere"
package opdbus-test-rival 1.0 "Conflicts: opdbus-test-a"

mkdir -p "$work/opdbus-test-conf/etc" "$work/opdbus-test-conf/DEBIAN"
echo "setting = default" >"$work/opdbus-test-conf/etc/opdbus-test.conf"
echo /etc/opdbus-test.conf >"$work/opdbus-test-conf/DEBIAN/conffiles"
package opdbus-test-conf 1.0

script opdbus-test-broken postinst "echo 'opdbus-test-broken cannot be set up' >&2; exit 1"
package opdbus-test-broken 1.0
# Being installed lasts as long as the file is there.
script opdbus-test-slow postinst "while [ -e /run/opdbus-test-slow ]; do sleep 0.1; done"
package opdbus-test-slow 1.0

rm -r "$work"
cd "$repository"
for deb in *.deb; do
	dpkg-deb --field "$deb"
	printf '%s\n' "Filename: ./$deb" "Size: $(stat -c %s "$deb")" "SHA256: $(sha256sum "$deb" | cut -d ' ' -f 1)" ""
done >Packages
# apt does without a Release file, PackageKit calls a refresh without one failed, and packages without an origin local.
printf '%s\n' "Origin: opdbus-test" "Suite: test" "Date: $(LC_ALL=C date -Ru)" "SHA256:" " $(sha256sum Packages | cut -d ' ' -f 1) $(stat -c %s Packages) Packages" >Release

rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /var/lib/apt/lists/*
echo "deb [trusted=yes] file:$repository ./" >/etc/apt/sources.list.d/opdbus-test.list
apt-get update --quiet --quiet
