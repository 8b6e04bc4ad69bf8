# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
# shellcheck shell=bash
#
# Source it in bash, from any directory, after `make libero`: activate.sh, with LIBERO.
[ -n "${BASH_VERSION:-}" ] || { echo 'activate: only bash can read this; type bash first' >&2; return 1; }
_spec_vla_scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$_spec_vla_scripts/activate.sh"
# ROS from wheels looks for its libraries beside the interpreter, but they are in .venv.
LD_LIBRARY_PATH=$(python -c 'import os; print(os.environ.get("LD_LIBRARY_PATH", ""))')
export LD_LIBRARY_PATH
export PATH=${_spec_vla_scripts%/scripts}/.venv-libero/bin:$PATH
unset _spec_vla_scripts
