#!/bin/sh
# dist/: the source distribution, and a manylinux wheel made of it and of nothing else; each installed in a new
# environment that has nothing else, and tried.
# usage: make_packages.sh PYTHON
set -eu
python=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
here=$(cd "$(dirname "$0")/.." && pwd)

rm -rf "$here/dist"
"$python" -m pip wheel --quiet --no-deps --no-binary toroni --wheel-dir "$work/checkout" "$here"
"$python" -c "
import os, sys
from scikit_build_core.build import build_sdist
os.chdir('$here')
print(build_sdist('$here/dist'))"
sdist=$(ls "$here"/dist/toroni-*.tar.gz)
(cd "$work" && "$python" -m pip wheel --quiet --no-deps --wheel-dir "$work/wheel" "$sdist")
# The same files, whether made of the checkout or of the source distribution.
for wheel in checkout wheel; do
    "$python" -m zipfile -l "$work/$wheel"/toroni-*.whl | awk 'NR > 1 { print $1 }' | grep -v RECORD | sort > "$work/$wheel.list"
done
diff "$work/checkout.list" "$work/wheel.list"

"$python" -m auditwheel show "$work"/wheel/toroni-*.whl
"$python" -m auditwheel repair --strip --wheel-dir "$here/dist" "$work"/wheel/toroni-*.whl
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --no-index "$here"/dist/toroni-*manylinux*.whl
(cd "$work" && env -i PATH=/usr/bin:/bin "$work/venv/bin/python" "$here/tools/smoke_test.py")
ls -l "$here/dist"
