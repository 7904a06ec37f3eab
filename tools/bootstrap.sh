#!/bin/sh
# Make .venv with the pinned packages, once. `make` calls this before anything else.
#
#   tools/bootstrap.sh          make .venv unless it is complete and belongs to the present pins
#   tools/bootstrap.sh people   the same, and then the data of requirements/people.txt, once
#   tools/bootstrap.sh docs     the same, and then what builds the documentation, once
#   tools/bootstrap.sh onnx     the same, and then onnx and onnxruntime, once
#   tools/bootstrap.sh serve    the same, and then what tools/serve.py needs, once
#   tools/bootstrap.sh cpp      the same, and then the headers that docs/cpp wants, once
#   tools/bootstrap.sh web      the same, and then what runs networks in a browser, once
#   tools/bootstrap.sh browser  the same, and then what drives a browser in tests, once
#   tools/bootstrap.sh find     print the Python that would be used and its version
#
# PYTHON=/path/to/python3.10    use this Python
# BUILD=cpu | cu112             use this build of MXNet instead of the one that fits the machine
set -eu

case "$0" in */*) cd "${0%/*}/.." ;; *) cd .. ;; esac
ROOT=$(pwd)
STAMP=.venv/complete  # written last: without it, .venv is made anew
CHECKED=.venv/checked  # MXNet was imported once
# .venv/people, .venv/docs and so on hold the sum of the pins of that file, once installed.
LOG=.venv/install.log

say() { echo "setup: $*" >&2; }
die() { say "$*"; exit 2; }

# Prints "ok VERSION PATH" or "no REASON"; even Python 2 can run it. Inside a virtual environment it
# names the Python behind it: .venv may be the active one, and cannot be used to make itself anew.
PROBE='
import os, sys
version = "%d.%d.%d" % tuple(sys.version_info[:3])
missing = []
for name in ("venv", "ensurepip"):
    try:
        __import__(name)
    except ImportError:
        missing.append(name)
if not (3, 8) <= tuple(sys.version_info[:2]) < (3, 12):
    print("no is Python " + version)
elif sys.maxsize < 2**32:
    print("no is Python %s of 32 bits" % version)
elif missing:
    print("no is Python %s without %s" % (version, " and ".join(missing)))
else:
    inside = sys.prefix != sys.base_prefix
    print("ok %s %s" % (version, os.path.realpath(sys.executable) if inside else ""))
'

# Sets PYTHON_PATH and PYTHON_VERSION if $1 will do, else REASON, and adds it to FOUND. Built-in
# commands only, so that nothing but a Python needs to be on the PATH.
FOUND=
try_python() {
    REASON="is not there"
    path=$(command -v "$1" 2>/dev/null) || return 1
    answer=$("$path" -c "$PROBE" 2>/dev/null </dev/null) || answer=
    case "$answer" in
        "ok "*)
            answer=${answer#ok }
            PYTHON_VERSION=${answer%% *}
            PYTHON_PATH=${answer#* }
            PYTHON_PATH=${PYTHON_PATH:-$path}
            return 0 ;;
        "no "*) REASON=${answer#no } ;;
        *) REASON="does not run" ;;
    esac
    FOUND="${FOUND:+$FOUND, }$path $REASON"
    return 1
}

find_python() {
    wanted="Python 3.8 to 3.11, 64 bits, with venv and ensurepip"
    advice="install one (Debian, Ubuntu: apt-get install python3-venv) or name one: make PYTHON=..."
    if [ -n "${PYTHON:-}" ]; then
        try_python "$PYTHON" && return
        die "PYTHON=$PYTHON will not do: it $REASON; wanted: $wanted"
    fi
    pyenv=${PYENV_ROOT:-${HOME:-}/.pyenv}/versions
    for candidate in python3.11 python3.10 python3.9 python3.8 python3 python \
        "$pyenv"/3.11*/bin/python "$pyenv"/3.10*/bin/python \
        "$pyenv"/3.9*/bin/python "$pyenv"/3.8*/bin/python; do
        try_python "$candidate" && return
    done
    die "no suitable Python ($wanted); found: ${FOUND:-none}; $advice"
}

# The GPU build has machine code for compute capability 5.x to 8.x, and no other.
choose_build() {
    case "${BUILD:-}" in
        cpu | cu112) return ;;
        "") ;;
        *) die "BUILD=$BUILD is not known; expected cpu or cu112" ;;
    esac
    BUILD=cpu
    if command -v nvidia-smi >/dev/null; then
        capabilities=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null) || return 0
        if echo "$capabilities" | grep -q '^[5-8]\.'; then BUILD=cu112; fi
    fi
}

pins() {
    for lock in base cpu cu112 h36m test; do cat "requirements/$lock.txt"; done
}

# What belongs to the present pins: their sum, the build, the Python's version, and the place, since
# .venv holds absolute paths.
describe() { echo "$(pins | cksum) $1 $2 $ROOT"; }

is_complete() {
    [ -f "$STAMP" ] && .venv/bin/python -c '' 2>/dev/null || return 1
    read -r stamped_build stamped_version <"$STAMP"
    version=$stamped_version
    if [ -n "${PYTHON:-}" ]; then find_python; version=$PYTHON_VERSION; fi
    [ "$(sed 1d "$STAMP")" = "$(describe "${BUILD:-$stamped_build}" "$version")" ]
}

# One install at a time. pip inherits the lock: if this script is killed and pip goes on, the next
# install waits for it.
take_lock() {
    command -v flock >/dev/null || return 0
    exec 9>.venv.lock
    flock -n 9 && return
    say "waiting for an install that is going on"
    flock 9
}

logged() {
    "$@" >>"$LOG" 2>&1 </dev/null && return
    say "this failed: $*"
    tail -n 15 "$LOG" >&2
    say "the whole output is in $LOG"
    exit 1
}

pip_install() {
    logged .venv/bin/python -m pip --disable-pip-version-check install --no-deps "$@"
}

install() {
    find_python
    choose_build
    say "making .venv: Python $PYTHON_VERSION ($PYTHON_PATH), MXNet build $BUILD; this takes a minute"
    rm -rf .venv
    mkdir .venv
    : >"$LOG"
    logged "$PYTHON_PATH" -m venv .venv
    pip_install "$(sed -n 's/^\(pip==[^ ]*\).*/\1/p' requirements/base.txt)"
    pip_install --only-binary :all: -r requirements/base.txt -r "requirements/$BUILD.txt" \
        -r requirements/h36m.txt -r requirements/test.txt
    pip_install --no-build-isolation -e .
    { echo "$BUILD $PYTHON_VERSION"; describe "$BUILD" "$PYTHON_VERSION"; } >"$STAMP.new"
    mv "$STAMP.new" "$STAMP"
}

# The pins are right, yet the system may lack a library; say so now, in one line.
check() {
    .venv/bin/python -c '
import sys
from gluon_dkpr.errors import DkprError
try:
    import gluon_dkpr.backend
except DkprError as error:
    sys.exit("setup: %s" % error)
' || exit 2
    : >"$CHECKED"
}

has() { [ -f ".venv/$1" ] && [ "$(cat ".venv/$1")" = "$(cksum <"requirements/$1.txt")" ]; }

install_more() {
    case "$1" in
        people) say "installing the data for rendered people, 170 MB" ;;
        docs) say "installing what builds the documentation, 20 MB" ;;
        onnx) say "installing onnx and onnxruntime, 19 MB" ;;
        serve) say "installing what tools/serve.py needs, 0.5 MB" ;;
        cpp) say "installing headers for C++, 0.2 MB" ;;
        web) say "fetching onnxruntime-web, 24 MB" ;;
        browser) say "installing playwright, 39 MB" ;;
    esac
    case "$1" in
        web) logged .venv/bin/python docs/demo/fetch.py .venv/onnxruntime-web ;;
        *) pip_install --only-binary :all: -r "requirements/$1.txt" ;;
    esac
    cksum <"requirements/$1.txt" >".venv/$1.new"
    mv ".venv/$1.new" ".venv/$1"
}

if [ "${1:-}" = find ]; then
    find_python
    echo "$PYTHON_PATH $PYTHON_VERSION"
    exit
fi
if ! is_complete; then
    take_lock
    is_complete || install
fi
[ -f "$CHECKED" ] || check
case "${1:-}" in
    people | docs | onnx | serve | cpp | web | browser)
        if ! has "$1"; then
            take_lock
            has "$1" || install_more "$1"
        fi ;;
esac
