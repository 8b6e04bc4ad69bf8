# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""LIBERO's robot over DDS: the scripted expert does a task by velocities alone."""

from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest
from geometry_msgs.msg import TwistStamped
from processes import run_python
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from spec_vla_ros.msg import EpisodeStatus
from spec_vla_ros.srv import ResetEpisode
from std_msgs.msg import Float64
from waiting import wait_for

from spec_vla_ros.control.schedule import Twist
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.converters import image_to_rgb, to_nanoseconds
from spec_vla_ros.ros.messages import twist_message
from spec_vla_ros.ros.robots.libero_node import NAME, StandsStill, libero
from spec_vla_ros.ros.robots.sim_node import SimRobotNode
from spec_vla_ros.settings.nodes import LiberoRobotSettings
from spec_vla_ros.sim.libero.env import LiberoEnv
from spec_vla_ros.sim.libero.expert import LiberoExpert
from spec_vla_ros.sim.libero.motion import rotation_vector

pytestmark = pytest.mark.dds
SOUP = 'pick up the alphabet soup and place it in the basket'
RATE = 20  # Hz


def needs_libero(test):
    absent = find_spec('libero') is None
    return pytest.mark.libero(pytest.mark.skipif(absent, reason='no LIBERO: make libero')(test))


class Teacher:
    """Is told the true scene of each picture, and commands over topics what the expert does."""

    def __init__(self, world):
        self.at_work = False
        self._scenes, self._expert = {}, LiberoExpert()
        node = world.remote.node
        self._twists = node.create_publisher(TwistStamped, 'delta_twist_cmds', qos.COMMAND)
        self._openings = node.create_publisher(Float64, 'gripper_command', qos.COMMAND)
        world.remote.subscribe(Image, 'image', self._on_image, qos.CAMERA)

    def simulate(self, node, settings):
        """Make LIBERO's robot, of which each scene is noted as it is drawn."""
        simulation = libero(node, settings)
        env = simulation.env
        render = env.render

        def noted():
            self._scenes[simulation.time.now_ns] = env.scene()
            return render()

        env.render = noted
        return simulation

    def _on_image(self, image):
        if not self.at_work:
            return
        stamp_ns = to_nanoseconds(image.header.stamp)
        *motion, opening = self._expert.act(self._scenes[stamp_ns])
        linear, angular = np.split(RATE * np.array(motion), 2)
        twist = Twist(linear, angular)
        self._twists.publish(twist_message(twist, now_ns=stamp_ns, frame_id='world'))
        self._openings.publish(Float64(data=opening))


@needs_libero
@pytest.mark.slow
def test_the_expert_does_a_task_over_topics(world):
    teacher = Teacher(world)
    images = world.record(Image, 'image', qos.CAMERA)
    infos = world.record(CameraInfo, 'camera_info', qos.CAMERA)
    clock = world.record(Clock, '/clock', qos.COMMAND)
    episodes = world.record(EpisodeStatus, 'episode', qos.LATCHED)
    world.spin(
        partial(SimRobotNode, name=NAME, settings=LiberoRobotSettings, simulate=teacher.simulate)
    )

    def reset(**fields):
        return world.remote.call(ResetEpisode, 'reset', ResetEpisode.Request(**fields))

    for wrong, words in (
        ({'instruction': 'make coffee'}, SOUP),
        ({'instruction': SOUP, 'initial_state': 50}, 'initial state 50 is none of 0 .. 49'),
    ):
        refused = reset(**wrong)
        assert not refused.success
        assert words in refused.message
    response = reset(instruction=SOUP, initial_state=3)
    assert response.success, response.message
    assert response.instruction == SOUP
    teacher.at_work = True
    done = wait_for(lambda: episodes.last.success and episodes.last, 'success')
    assert done.initial_state == 3
    assert not done.wrong_object
    assert done.command_timeouts == 0
    # by the robot's time, however long it took here: as many periods as pictures acted upon
    assert done.elapsed < 280 / RATE
    assert done.commands_received == pytest.approx(RATE * done.elapsed, abs=5)

    picture = image_to_rgb(images.last)
    assert picture.shape == (256, 256, 3)
    assert picture.std() > 10
    assert images.last.header.frame_id == 'camera_optical_frame'
    assert infos.last.k[0] < 0 < infos.last.k[4]  # left and right are exchanged
    period_ns = 1_000_000_000 // RATE
    assert {to_nanoseconds(m.header.stamp) % period_ns for m in images.messages} == {0}
    ticks = [to_nanoseconds(m.clock) for m in clock.messages]
    assert set(np.diff(ticks)) == {period_ns}


@needs_libero
@pytest.mark.parametrize('action', [(0.02, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0.1)])
def test_the_arm_comes_as_far_with_rests_as_without(action):
    """So a policy that was trained without rests finds the arm where it would be without."""
    env = LiberoEnv('libero_object')
    robot, still = StandsStill(env), np.array([0, 0, 0, 0, 0, 0, 1.0])
    came = []
    try:
        for rests in (0, 2):
            env.reset(instruction=SOUP, initial_state=0)
            before = env.scene()
            for _ in range(16):
                robot.step(np.array([*action, 1.0]))
                for _ in range(rests):
                    robot.step(still)
            for _ in range(12):
                robot.step(still)
            after = env.scene()
            turned = rotation_vector(after.rotation @ before.rotation.T)
            came.append([*(after.position - before.position), *turned])
    finally:
        env.close()
    without, with_rests = (np.array(way) @ (np.array(action) > 0) for way in came)
    assert without > 0.2 * 16 * max(action)
    assert with_rests == pytest.approx(without, rel=0.1)


@needs_libero
def test_a_turn_that_there_is_not_is_refused_in_words():
    done = run_python(
        *('-m', 'spec_vla_ros.ros.robots.libero_node', '--ros-args', '-p', 'image_rotation:=90'),
        check=False,
    )
    assert done.returncode == 1
    assert 'image_rotation 90 is neither 0 nor 180' in done.stderr


@pytest.mark.skipif(find_spec('libero') is not None, reason='LIBERO is here')
def test_without_libero_it_says_what_to_install():
    done = run_python('-m', 'spec_vla_ros.ros.robots.libero_node', check=False)
    assert done.returncode == 1
    assert 'libero' in done.stderr
