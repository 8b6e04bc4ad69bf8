# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
# shellcheck shell=bash
#
# To be sourced: removes any other ROS installation or Python environment from the shell's
# variables, since its modules and libraries would come before this project's.
unset PYTHONPATH PYTHONHOME LD_LIBRARY_PATH VIRTUAL_ENV
unset AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH
unset ROS_DISTRO ROS_VERSION ROS_PYTHON_VERSION RMW_IMPLEMENTATION
# With a discovery server or security keys, nodes would not find each other.
unset ROS_DISCOVERY_SERVER ROS_SUPER_CLIENT
unset ROS_SECURITY_ENABLE ROS_SECURITY_STRATEGY ROS_SECURITY_KEYSTORE ROS_SECURITY_ENCLAVE_OVERRIDE
unset _ROS_WHEELS_BOOTSTRAP_COMPLETE # set by the wheels; another Python would not find ROS
