# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
# shellcheck shell=bash
#
# To be sourced: forgets any other ROS installation or Python environment of the calling shell,
# whose modules and libraries would otherwise come before ours.
unset PYTHONPATH PYTHONHOME LD_LIBRARY_PATH VIRTUAL_ENV
unset AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH
unset ROS_DISTRO ROS_VERSION ROS_PYTHON_VERSION RMW_IMPLEMENTATION
# Nodes that look for a discovery server, or for keys, find nobody here.
unset ROS_DISCOVERY_SERVER ROS_SUPER_CLIENT
unset ROS_SECURITY_ENABLE ROS_SECURITY_STRATEGY ROS_SECURITY_KEYSTORE ROS_SECURITY_ENCLAVE_OVERRIDE
unset _ROS_WHEELS_BOOTSTRAP_COMPLETE # left by the wheels: keeps another Python from finding ROS
