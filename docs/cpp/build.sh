#!/bin/sh
# Compile predict.cc: docs/cpp/build.sh PROGRAM
#
#   PYTHON=python   the Python whose MXNet is linked with
#   CXX=c++         the compiler
#
# The JSON library is the system's (Debian: apt-get install nlohmann-json3-dev) or that Python's
# (pip install --no-deps nlohmann-json).
set -eu

folder() {
    "${PYTHON:-python}" -c "import importlib.util as u
found = u.find_spec('$1')
print(*found.submodule_search_locations if found else '', sep='')"
}

mxnet=$(folder mxnet)
json=$(folder nlohmann_json)
[ -n "$mxnet" ] || { echo "build.sh: error: ${PYTHON:-python} has no MXNet" >&2; exit 2; }
# By its rpath the program finds libmxnet.so beside itself, else where it is now; libmxnet.so finds what
# came with it in the same way.
exec "${CXX:-c++}" -std=c++14 -O2 -Wall -Wextra "${0%/*}/predict.cc" -o "${1:?PROGRAM is missing}" \
    -isystem "$mxnet/include" ${json:+-isystem "$json/include"} \
    -L"$mxnet" -lmxnet -Wl,-rpath,"\$ORIGIN:$mxnet"
