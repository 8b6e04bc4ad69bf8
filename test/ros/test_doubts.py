# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What is taken as it comes, though it may not be what it seems, is warned of once."""

import types

import numpy as np
import pytest
from harness import ScriptedPolicy
from sensor_msgs.msg import Image
from waiting import wait_for_line

from spec_vla_ros.ros.doubts import Doubts
from spec_vla_ros.settings.nodes import PolicySettings

NOW = 10**18
TURNED, UPRIGHT = np.array([1.0, 0, 0, 0]), np.array([0.0, 0, 0, 1])
BOX = {'workspace_min': (-1.0,) * 3, 'workspace_max': (1.0,) * 3}


def doubts(**settings):
    said = []
    node = types.SimpleNamespace(
        get_logger=lambda: types.SimpleNamespace(warning=said.append),
        resolve_topic_name=lambda name: f'/lab/{name}',
    )
    return Doubts(node, PolicySettings(**settings)), said


def test_images_without_a_stamp_are_told_with_the_way_on():
    """As cv_bridge makes them of a picture: they show the arm in motion, and nobody notices."""
    made, said = doubts(image_transport='compressed')
    made.image(stamp_ns=NOW, now_ns=NOW)
    made.image(stamp_ns=0, now_ns=10**8)  # simulated time begins
    assert not said
    for _ in range(2):
        made.image(stamp_ns=0, now_ns=NOW)
    (line,) = said
    assert line.startswith('images on /lab/image/compressed come without a stamp')
    assert 'fill in header.stamp' in line
    assert 'settle_time' in line


def test_poses_without_a_stamp_are_told_where_they_are_needed():
    for settings, told in (({}, 0), (BOX, 1)):
        made, said = doubts(**settings)
        made.pose(TURNED, stamp_ns=0, now_ns=NOW)
        made.pose(UPRIGHT, stamp_ns=NOW, now_ns=NOW)
        assert len(said) == told
    assert 'poses on /lab/end_effector_pose come without a stamp' in said[0]


def test_an_orientation_that_nobody_may_have_filled_in_is_told_where_it_is_commanded():
    made, said = doubts(command_type='pose')
    made.pose(TURNED, stamp_ns=NOW, now_ns=NOW)
    assert not said
    made.pose(UPRIGHT, stamp_ns=NOW, now_ns=NOW)
    assert 'have no rotation at all' in said[0]


def test_a_doubtful_picture_is_taken_and_told_once():
    made, said = doubts()
    grey = np.repeat(np.random.default_rng(0).integers(0, 255, (48, 64, 1), np.uint8), 3, axis=2)
    for _ in range(2):
        assert made.picture(grey) is grey
    (line,) = said
    assert line.startswith('/lab/image: pictures have no colour')


@pytest.mark.dds
def test_the_node_looks_at_each_image(world, stderr):
    world.policy_node(lambda settings: ScriptedPolicy(), dry_run=True)
    publisher = world.remote.node.create_publisher(Image, 'image', 1)
    levels = np.random.default_rng(0).integers(0, 255, 64 * 200, np.uint8)
    image = Image(height=64, width=200, step=200, encoding='mono8', data=levels.tobytes())
    world.remote.node.create_timer(0.05, lambda: publisher.publish(image))
    wait_for_line(stderr, 'images on /image come without a stamp')
    world.instruct('go')
    wait_for_line(stderr, '/image: pictures are of 200 x 64 pixels: two side by side')
