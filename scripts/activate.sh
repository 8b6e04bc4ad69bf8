# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
# shellcheck shell=bash
#
# To be sourced, from any directory, after `make setup`: the shell in which nodes start.
# SPEC_VLA_ENV names another environment than this folder's, see setup_env.sh.
[ -n "${BASH_VERSION:-}" ] || { echo 'activate: only bash can read this; type bash first' >&2; return 1; }
_spec_vla_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$_spec_vla_root/scripts/clean_env.sh"
_spec_vla_env=${SPEC_VLA_ENV:-$_spec_vla_root}
. "$_spec_vla_env/.venv/bin/activate"
. "$_spec_vla_env/install/setup.bash"
# Room for camera images in shared memory; UDP on this machine only.
export FASTDDS_DEFAULT_PROFILES_FILE=$_spec_vla_root/config/fastdds_localhost.xml
unset FASTRTPS_DEFAULT_PROFILES_FILE # its name until Jazzy; later ones warn of it
[ "${SPEC_VLA_ROS:-}" != ros-jazzy ] || export FASTRTPS_DEFAULT_PROFILES_FILE=$FASTDDS_DEFAULT_PROFILES_FILE
export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
# Where the home folder cannot be written, logs go where results do.
if [ -z "${ROS_LOG_DIR:-}${ROS_HOME:-}" ] && ! [ -w "${HOME:-/}" ]; then
    export ROS_LOG_DIR=$_spec_vla_root/results/logs/ros
    mkdir -p "$ROS_LOG_DIR"
fi
# The simulator draws without a screen, with what was found to work.
export MUJOCO_GL=${MUJOCO_GL:-$(cat "$_spec_vla_env/.venv/.mujoco_gl")}
unset _spec_vla_root _spec_vla_env ROS_LOCALHOST_ONLY ROS_STATIC_PEERS
