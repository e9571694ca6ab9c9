#!/bin/sh
# Says in one sentence what is missing on this machine, if anything is.
# usage: check_machine.sh PYTHON CXX
python=$1
cxx=$2

fail() {
    echo "$1" >&2
    exit 1
}

[ "$(uname -s)" = Linux ] || fail "Toroni needs Linux; this is $(uname -s)."
command -v "$python" >/dev/null || fail "Toroni needs Python 3.10 or newer, and there is no '$python'; install one, or say which: make PYTHON=python3.12"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "Toroni needs Python 3.10 or newer, and '$python' is $("$python" -V 2>&1); say which one to use: make PYTHON=python3.12"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "'$python' cannot make virtual environments; install its venv module (Debian: apt install python3-venv)."
"$python" -c 'import os, sysconfig as s, sys; sys.exit(not os.path.exists(s.get_path("include") + "/Python.h"))' ||
    fail "The headers of '$python' are missing; install them (Debian: apt install python3-dev)."
command -v "$cxx" >/dev/null || fail "Toroni needs a C++20 compiler, and there is no '$cxx'; install one (Debian: apt install g++), or say which: make CXX=clang++"
printf '#include <span>\nint main() { return std::span<int>{}.size(); }\n' | "$cxx" -std=c++20 -x c++ - -o /dev/null 2>/dev/null ||
    fail "Toroni needs a compiler that knows C++20, and '$cxx' does not (g++ 11 or clang++ 14 are enough); say which one to use: make CXX=g++-12"
