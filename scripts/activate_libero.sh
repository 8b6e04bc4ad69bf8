# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
# shellcheck shell=bash
#
# To be sourced, from any directory, after `make libero`: activate.sh, with LIBERO.
_spec_vla_scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$_spec_vla_scripts/activate.sh"
export PATH=${_spec_vla_scripts%/scripts}/.venv-libero/bin:$PATH
unset _spec_vla_scripts
