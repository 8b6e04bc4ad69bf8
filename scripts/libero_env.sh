#!/usr/bin/env bash
# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
#
# Sets LIBERO up in .venv-libero: an environment of its own that also finds what the active one
# (.venv) holds. Does nothing when nothing has changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1
beside=${VIRTUAL_ENV:?libero: . scripts/activate.sh first}

site_packages() { "$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }

install() { "$beside/bin/python" -m pip --python .venv-libero/bin/python install --quiet "$@"; }

install_libero() {
    echo 'libero: installing into .venv-libero; 0.4 GB to fetch, some minutes the first time'
    "$beside/bin/python" -m venv --clear --without-pip .venv-libero
    # What is installed here hides what is installed there: opencv-python its headless build.
    echo "import site; site.addsitedir('$(site_packages "$beside")')" \
        >"$(site_packages .venv-libero)/_beside.pth"
    install --use-pep517 -c requirements/constraints.txt -r requirements/libero.txt \
        -r requirements/ray.txt
    install --no-deps --no-build-isolation -e .
}

mkdir -p build
exec 9>build/.libero.lock
flock 9 # two makes at once in one clone take turns
stamp=$(cat requirements/libero.txt requirements/ray.txt requirements/constraints.txt setup.py "$beside/pyvenv.cfg" \
    scripts/libero_env.sh - <<<"$PWD $beside" | sha256sum | cut -d ' ' -f 1)
if [ "$(cat .venv-libero/.stamp 2>/dev/null)" != "$stamp" ]; then
    rm -f .venv-libero/.stamp
    install_libero
    echo "$stamp" >.venv-libero/.stamp
fi
