# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
# shellcheck shell=bash
#
# Source it in bash, from any directory, after `make setup`; then the shell can start nodes.
# SPEC_VLA_ENV names another environment than this folder's, see setup_env.sh.
[ -n "${BASH_VERSION:-}" ] || { echo 'activate: only bash can read this; type bash first' >&2; return 1; }
_spec_vla_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$_spec_vla_root/scripts/clean_env.sh"
_spec_vla_env=${SPEC_VLA_ENV:-$_spec_vla_root}
. "$_spec_vla_env/.venv/bin/activate"
. "$_spec_vla_env/install/setup.bash"
# Room for camera images in shared memory; UDP on this machine only.
export FASTDDS_DEFAULT_PROFILES_FILE=$_spec_vla_root/config/fastdds_localhost.xml
unset FASTRTPS_DEFAULT_PROFILES_FILE # its name up to Jazzy; later versions warn of it
[ "${SPEC_VLA_ROS:-}" != ros-jazzy ] || export FASTRTPS_DEFAULT_PROFILES_FILE=$FASTDDS_DEFAULT_PROFILES_FILE
export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
# If the home folder cannot be written, logs go into results/.
if [ -z "${ROS_LOG_DIR:-}${ROS_HOME:-}" ] && ! [ -w "${HOME:-/}" ]; then
    export ROS_LOG_DIR=$_spec_vla_root/results/logs/ros
    mkdir -p "$ROS_LOG_DIR"
fi
# MuJoCo renders off screen, with the library that setup_env.sh has tried.
export MUJOCO_GL=${MUJOCO_GL:-$(cat "$_spec_vla_env/.venv/.mujoco_gl")}
unset _spec_vla_root _spec_vla_env ROS_LOCALHOST_ONLY ROS_STATIC_PEERS
