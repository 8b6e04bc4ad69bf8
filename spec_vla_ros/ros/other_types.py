# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Advice for when somebody uses one of our topics with another message type."""

from __future__ import annotations

_RAW, _COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
_POSE, _TWIST = 'geometry_msgs/msg/PoseStamped', 'geometry_msgs/msg/TwistStamped'
_OF_A_GRIPPER = 'std_msgs/msg/Float64'

_WAYS_ON = {
    (_RAW, _COMPRESSED): (
        "set image_transport 'compressed' and remap image/compressed to it, as the launch file "
        'does where image_topic:= ends with /compressed'
    ),
    (_COMPRESSED, _RAW): "set image_transport 'raw' and remap image to it",
    (_TWIST, 'geometry_msgs/msg/Twist'): (
        'most that take Twist have a parameter for stamped ones; else a node between takes off '
        'the header, and the driver must stop by itself when nothing comes'
    ),
    (_OF_A_GRIPPER, 'std_msgs/msg/Float64MultiArray'): (
        "most controllers of grippers have an action, too: gripper_type 'parallel_action' or "
        "'action'; else convert them in a node between"
    ),
}
"""(our type, the other type) -> what to do."""

_WHATEVER_IT_IS = {
    _RAW: "take the camera's topic of Image, or of CompressedImage with image_transport",
    _COMPRESSED: "take the camera's topic of CompressedImage, or of Image with image_transport",
    _POSE: 'publish a PoseStamped in command_frame; examples/pose_from_tf.py makes one of TF',
}
"""Our type -> what to do about any other type that is not listed above."""


def way_on(ours: str, other: str) -> str:
    """Return what to do, to end an error message; empty if there is no advice.

    ours, other: message types, as package/msg/Name.
    """
    found = _WAYS_ON.get((ours, other)) or _WHATEVER_IT_IS.get(ours, '')
    return f'; {found}' if found and ours != other else ''
