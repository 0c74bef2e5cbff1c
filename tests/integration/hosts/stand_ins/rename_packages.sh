#!/bin/sh
# Makes packages with the names of Docker's own out of Debian's, into the current folder: a stand-in for what Docker's
# repository has. What they install is Debian's.
set -eu
apt-get update --quiet=2
rename() {
  apt-get download --quiet=2 "$1"
  dpkg-deb --raw-extract "$1"_*.deb tree
  sed -i -e "s/^Package: .*/Package: $2/" -e '/^\(Built-Using\|Conflicts\|Breaks\|Replaces\):/d' \
    -e 's/\bcontainerd \(([^)]*)\)/containerd.io \1, docker-ce-cli/' tree/DEBIAN/control
  rm "$1"_*.deb
  dpkg-deb --root-owner-group -Znone --build tree "$2.deb"
  rm -r tree
}
rename docker.io docker-ce
rename docker-cli docker-ce-cli
rename containerd containerd.io
rename docker-buildx docker-buildx-plugin
