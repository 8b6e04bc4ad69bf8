# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The simulated robot over DDS, as a process: camera, commands, staleness, reset."""

import os
import signal

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, TwistStamped
from harness import vector
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from spec_vla_ros.msg import EpisodeStatus
from spec_vla_ros.srv import ResetEpisode
from std_msgs.msg import Float64
from waiting import PATIENCE, wait_for

from spec_vla_ros.ros import qos
from spec_vla_ros.ros.converters import compressed_to_rgb, image_to_rgb, to_nanoseconds

pytestmark = pytest.mark.dds
ROBOT = 'spec_vla_ros.ros.robots.sim_node'


class Robot:
    """A simulated robot in a process, and its topics."""

    def __init__(self, world, *arguments):
        self.pid = world.process(
            'robot', ROBOT, *(['--ros-args', *arguments] if arguments else [])
        )
        self.world = world
        self.images = world.record(Image, 'image', qos.CAMERA)
        self.poses = world.record(PoseStamped, 'end_effector_pose', qos.SENSOR_STATE)
        self.episodes = world.record(EpisodeStatus, 'episode', qos.LATCHED)
        node = world.remote.node
        self._clock = node.get_clock()
        self._twists = node.create_publisher(TwistStamped, 'delta_twist_cmds', qos.COMMAND)
        self.gripper = node.create_publisher(Float64, 'gripper_command', qos.COMMAND)
        wait_for(lambda: self._twists.get_subscription_count() == 1, 'the robot')
        self.images.wait()
        wait_for(lambda: self.episodes.last, 'its episode')

    def command(self, velocity, frame_id='base_link'):
        message = TwistStamped()
        message.header.stamp = self._clock.now().to_msg()
        message.header.frame_id = frame_id
        linear = message.twist.linear
        linear.x, linear.y, linear.z = map(float, velocity)
        self._twists.publish(message)

    def reset(self, **fields):
        request = ResetEpisode.Request(**fields)
        return self.world.remote.call(ResetEpisode, 'reset', request)

    def position(self):
        return vector(self.poses.wait().pose.position)


@pytest.fixture
def robot(world):
    return Robot(world)


def test_camera_and_pose_come_together(world, robot):
    infos = world.record(CameraInfo, 'camera_info', qos.CAMERA)
    image = robot.images.wait()
    wait_for(lambda: infos.last, 'camera info')
    rgb = image_to_rgb(image)
    assert rgb.shape == (192, 192, 3)
    assert rgb.std() > 10  # something is to be seen
    assert image.header.frame_id == infos.last.header.frame_id == 'camera_optical_frame'
    assert infos.last.width == infos.last.height == 192
    focal, _, centre = infos.last.k[:3]
    assert focal > 0
    assert centre == 96
    assert list(infos.last.p[:3]) == list(infos.last.k[:3])
    pose = robot.poses.wait()
    assert pose.header.frame_id == 'base_link'
    q = pose.pose.orientation
    assert np.linalg.norm([q.x, q.y, q.z, q.w]) == pytest.approx(1.0)
    shared = {to_nanoseconds(m.header.stamp) for m in robot.images.messages}
    assert shared & {to_nanoseconds(m.header.stamp) for m in robot.poses.messages}


@pytest.mark.alone
def test_thirty_frames_a_second(robot):
    def period_of_sixty():
        stamps = [to_nanoseconds(m.header.stamp) for m in robot.images.messages[-61:]]
        return np.median(np.diff(stamps)) if len(stamps) == 61 else None

    # wherever the machine keeps up with it
    wait_for(lambda: period_of_sixty() == pytest.approx(1e9 / 30, rel=0.15), 'thirty frames')


def test_a_velocity_moves_it_and_goes_stale_by_itself(robot):
    before = robot.position()
    robot.command((0.0, 0.0, 0.1))
    wait_for(lambda: robot.episodes.last.command_timeouts == 1, 'the stop')
    assert robot.episodes.last.commands_received == 1
    after = robot.position()
    # 0.1 m/s for 0.1 s, however late anybody looked
    np.testing.assert_allclose(after - before, (0, 0, 0.01), atol=0.002)
    np.testing.assert_allclose(robot.position(), after, atol=0.002)  # it comes to rest


def test_commands_in_another_frame_or_not_finite_are_ignored(robot):
    before = robot.position()
    robot.command((0.1, 0, 0), frame_id='tool0')
    robot.command((np.nan, 0, 0))
    robot.gripper.publish(Float64(data=7.0))
    count = len(robot.poses.messages)
    wait_for(lambda: len(robot.poses.messages) > count + 15, 'half a second')
    np.testing.assert_allclose(robot.position(), before, atol=1e-4)
    assert robot.episodes.last.commands_received == 0
    log = (robot.world.directory / 'robot.log').read_text()
    assert "frame 'tool0' is ignored" in log
    assert 'not finite is ignored' in log
    assert 'opening of 7.0 is ignored' in log


def test_reset_lays_out_the_same_scene_again(robot):
    first = robot.reset(seed=7, instruction='pick up the red block')
    assert first.success
    assert first.episode == 1
    assert first.instruction == 'pick up the red block'
    episode = robot.episodes.wait()
    assert (episode.episode, episode.seed) == (1, 7)
    start = robot.position()
    again = robot.reset(seed=7, instruction='pick up the red block')
    assert again.episode == 2
    np.testing.assert_allclose(robot.position(), start, atol=1e-4)
    assert robot.reset(seed=8).instruction.startswith('pick up the ')
    assert np.abs(robot.position() - start).max() > 1e-3


def test_reset_refuses_an_unknown_instruction_with_the_valid_ones(robot):
    response = robot.reset(seed=1, instruction='make coffee')
    assert not response.success
    assert 'red' in response.message
    assert robot.episodes.last.episode == 0


def test_reset_refuses_an_initial_state_for_there_are_none(robot):
    response = robot.reset(seed=1, initial_state=3)
    assert not response.success
    assert 'the tabletop has none' in response.message
    assert robot.episodes.last.initial_state == -1


def test_compressed_images_on_request(world):
    robot = Robot(world, '-p', 'image_transport:=both', '-p', 'image_size:=96')
    jpegs = world.record(CompressedImage, 'image/compressed', qos.CAMERA)
    decoded = compressed_to_rgb(jpegs.wait())
    assert decoded.shape == image_to_rgb(robot.images.last).shape == (96, 96, 3)
    assert np.abs(decoded.astype(int) - image_to_rgb(robot.images.last)).mean() < 5


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly(world, robot, number):
    os.kill(robot.pid, number)
    assert world.children.stop(grace=PATIENCE) == {'robot': 0}
