#!/bin/sh
# Builds the source distribution of dist/ in a new Debian that has nothing but Python, its headers and a compiler, and
# tries what was installed. Needs root and debootstrap; MIRROR, DISTRIBUTION and ROOT (a directory that may be kept) are
# taken from the environment.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
sdist=$(ls "$here"/dist/toroni-*.tar.gz 2>/dev/null) || { echo "there is no dist/toroni-*.tar.gz: make packages" >&2; exit 2; }
command -v debootstrap > /dev/null || { echo "this needs debootstrap (Debian: apt install debootstrap)" >&2; exit 2; }
root=${ROOT:-$(mktemp -d)}

[ -x "$root/usr/bin/python3" ] || debootstrap --variant=minbase \
    --include=python3-venv,python3-dev,g++,ca-certificates "${DISTRIBUTION:-bookworm}" "$root" ${MIRROR:-}
cleanup() {
    umount "$root/dev/shm" "$root/proc" 2> /dev/null || true
    [ -n "${ROOT:-}" ] || rm -rf "$root"
}
trap cleanup EXIT
mount -t proc proc "$root/proc"
mkdir -p "$root/dev/shm"
mount -t tmpfs tmpfs "$root/dev/shm"
# How this machine reaches packages, and whom it trusts, if in some way of its own.
for file in /etc/resolv.conf /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
    [ ! -f "$file" ] || cp "$file" "$root$file"
done
cp "$sdist" "$here/tools/smoke_test.py" "$root/root/"
env -i HOME=/root PATH=/usr/sbin:/usr/bin:/bin $(env | grep -E '^(PIP_|https?_proxy|HTTPS?_PROXY|SSL_CERT|REQUESTS_CA)' || true) \
    chroot "$root" sh -euc '
        cd /root
        rm -rf venv && python3 -m venv venv
        venv/bin/pip install --quiet ./toroni-*.tar.gz
        venv/bin/python smoke_test.py'
