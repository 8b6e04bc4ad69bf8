# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Another type on a topic of ours is told with what to do."""

import pytest

from spec_vla_ros.ros.other_types import way_on


@pytest.mark.parametrize(
    ('ours', 'other', 'words'),
    [
        (
            'sensor_msgs/msg/Image',
            'sensor_msgs/msg/CompressedImage',
            "image_transport 'compressed'",
        ),
        ('sensor_msgs/msg/CompressedImage', 'sensor_msgs/msg/Image', "image_transport 'raw'"),
        ('sensor_msgs/msg/Image', 'theora_image_transport/msg/Packet', 'or of CompressedImage'),
        ('geometry_msgs/msg/PoseStamped', 'geometry_msgs/msg/Pose', 'examples/pose_from_tf.py'),
        ('geometry_msgs/msg/TwistStamped', 'geometry_msgs/msg/Twist', 'takes off the header'),
        ('std_msgs/msg/Float64', 'std_msgs/msg/Float64MultiArray', "'parallel_action'"),
    ],
)
def test_what_to_do_is_told(ours, other, words):
    text = way_on(ours, other)
    assert text.startswith('; ')
    assert words in text


def test_where_the_types_are_the_same_or_say_it_nothing_is_added():
    assert way_on('sensor_msgs/msg/Image', 'sensor_msgs/msg/Image') == ''
    assert way_on('std_msgs/msg/String', 'std_msgs/msg/Int32') == ''
