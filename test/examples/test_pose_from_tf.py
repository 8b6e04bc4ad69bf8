# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The pose from TF has the transform's own stamp, is sent once, and survives a new simulated time.

tf2_ros is a stand-in here.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip('spec_vla_ros.msg', reason='needs ROS and the built messages')

from geometry_msgs.msg import PoseStamped, TransformStamped
from harness import World, wait_for
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock

from spec_vla_ros.ros import qos
from spec_vla_ros.ros.converters import to_time
from spec_vla_ros.ros.free_domain import free_domain
from spec_vla_ros.types import NANOSECONDS

EXAMPLE = Path(__file__).parents[2] / 'examples' / 'pose_from_tf.py'
pytestmark = pytest.mark.dds


class TransformException(Exception):  # noqa: N818
    """As tf2_ros has it."""


class Buffer:
    """Knows one transform at most, how often it was asked, and how often it was cleared.

    As in the real one, a newer transform hides an older one that comes later.
    """

    found, asked, cleared = None, 0, 0

    def put(self, found):
        if self.found is None or found.header.stamp.sec > self.found.header.stamp.sec:
            self.found = found

    def clear(self):
        self.found, self.cleared = None, self.cleared + 1

    def lookup_transform(self, target, source, when):
        self.asked += 1
        assert (target, source, when.nanoseconds) == ('base_link', 'tool0', 0)
        if self.found is None:
            raise TransformException('no such frame')
        return self.found


@pytest.fixture
def simulated():
    """Whether the node follows /clock."""
    return False


@pytest.fixture
def node(monkeypatch, tmp_path, simulated):
    tf2_ros = ModuleType('tf2_ros')
    tf2_ros.Buffer, tf2_ros.TransformException = Buffer, TransformException
    tf2_ros.TransformListener = lambda buffer, node: None
    monkeypatch.setitem(sys.modules, 'tf2_ros', tf2_ros)
    spec = importlib.util.spec_from_file_location('pose_from_tf', EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    with free_domain() as domain_id:
        world = World(domain_id, tmp_path)
        given = [Parameter('use_sim_time', value=simulated)]
        node = world.spin(
            lambda context: example.PoseFromTf(context=context, parameter_overrides=given)
        )
        poses = world.record(PoseStamped, 'end_effector_pose')
        wait_for(lambda: node.count_subscribers('end_effector_pose'), 'somebody who listens')
        yield node, poses, world
        world.close()


def transform(seconds):
    found = TransformStamped()
    found.header.frame_id, found.header.stamp.sec = 'base_link', seconds
    moved, turned = found.transform.translation, found.transform.rotation
    moved.x, moved.y, moved.z, turned.z, turned.w = 0.4, -0.1, 0.3, 1.0, 0.0
    return found


def look_again(node):
    """Wait until the node has looked for a transform a few times more."""
    asked = node._buffer.asked
    wait_for(lambda: node._buffer.asked > asked + 3, 'the node to look')


def test_each_transform_is_a_pose_of_its_time(node):
    node, poses, _ = node
    look_again(node)
    assert not poses.messages
    for count, seconds in enumerate((7, 8, 9), 1):
        node._buffer.put(transform(seconds))
        wait_for(lambda count=count: len(poses.messages) >= count, 'a pose')
        look_again(node)  # a second pose of the same transform would come before the next one's
    assert [pose.header.stamp.sec for pose in poses.messages] == [7, 8, 9]
    pose = poses.messages[0]
    assert pose.header.frame_id == 'base_link'
    position, orientation = pose.pose.position, pose.pose.orientation
    assert (position.x, position.y, position.z) == (0.4, -0.1, 0.3)
    assert (orientation.z, orientation.w) == (1.0, 0.0)


@pytest.mark.parametrize('simulated', [True])
def test_a_restart_of_simulated_time_forgets_what_came_before(node):
    node, poses, world = node
    clock = world.remote.node.create_publisher(Clock, '/clock', qos.COMMAND)

    def it_is(seconds):
        message = Clock(clock=to_time(seconds * NANOSECONDS))

        def arrived():
            clock.publish(message)
            return node.get_clock().now().nanoseconds == seconds * NANOSECONDS

        wait_for(arrived, f'simulated time {seconds} s')

    it_is(100)
    node._buffer.put(transform(100))
    # The node's timer follows the simulated clock, too.
    for seconds in (101, 102):
        it_is(seconds)
    wait_for(lambda: poses.messages, 'the pose before the restart')
    assert not node._buffer.cleared
    it_is(1)
    wait_for(lambda: node._buffer.cleared == 1, 'the buffer to be cleared')
    node._buffer.put(transform(1))
    for seconds in (2, 3):
        it_is(seconds)
    wait_for(lambda: len(poses.messages) == 2, 'a pose after the restart')
    assert [pose.header.stamp.sec for pose in poses.messages] == [100, 1]
