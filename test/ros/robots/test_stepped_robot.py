# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Policy node and a robot in simulated time: each action is executed once, however slow it draws.

With the parameters for LIBERO's robot; the simulator is one that adds up.
"""

import itertools
import time
from dataclasses import dataclass

import numpy as np
import pytest
from harness import FORWARD, STILL_IMAGE, ScriptedPolicy
from rclpy.clock import Clock, ClockType
from spec_vla_ros.msg import EpisodeStatus, VlaAction
from spec_vla_ros.srv import ResetEpisode
from std_msgs.msg import String
from waiting import PATIENCE, wait_for

from spec_vla_ros.ros import qos
from spec_vla_ros.ros.converters import to_nanoseconds
from spec_vla_ros.ros.robots.real_time_arm import VelocitySteps
from spec_vla_ros.ros.robots.robot_time import SteppedTime
from spec_vla_ros.ros.robots.sim_node import SimRobotNode, Simulation
from spec_vla_ros.settings.nodes import LIBERO_POLICY, LiberoRobotSettings

pytestmark = pytest.mark.dds


@dataclass(frozen=True)
class Outcome:
    success: bool
    wrong_object: bool = False
    lifted: str | None = None


class Adds:
    """A simulator that adds displacements up, and takes its time to draw."""

    max_steps, interval = 100, 0.05

    def __init__(self, draws_for):
        self._draws_for = draws_for
        self.steps = []
        self.asked = None

    def reset(self, *, seed=0, instruction=None, initial_state=None):
        self.steps.clear()
        self.asked = (seed, instruction, initial_state)
        return instruction or 'add up'

    def step(self, action):
        self.steps.append(action)

    def render(self):
        time.sleep(self._draws_for)
        return np.roll(STILL_IMAGE, len(self.steps), axis=1)

    def end_effector_pose(self):
        return np.sum(self.steps or np.zeros((1, 7)), axis=0)[:3], np.array([0, 0, 0, 1.0])

    def intrinsics(self):
        return np.eye(3)

    def outcome(self):
        return Outcome(success=False)

    def close(self):
        pass


@pytest.fixture
def start(world):
    def start(draws_for, policy, **parameters):
        env = Adds(draws_for)
        world.spin(
            lambda context: SimRobotNode(
                name='libero_robot',
                settings=LiberoRobotSettings,
                simulate=lambda node, settings: Simulation(
                    env,
                    VelocitySteps(env),
                    SteppedTime(node, interval=env.interval, patience=PATIENCE),
                ),
                context=context,
            )
        )
        given = {k: list(v) if isinstance(v, tuple) else v for k, v in LIBERO_POLICY.items()}
        node = world.policy_node(lambda settings: policy, use_sim_time=True, **given, **parameters)
        return env, node

    return start


@pytest.mark.parametrize(
    ('draws_for', 'thinks_for'), [(0.0, 0.0), (0.0, 0.12), (0.08, 0.0), (0.08, 0.05), (0.03, 0.2)]
)
def test_each_action_is_executed_once(world, start, draws_for, thinks_for):
    env, _ = start(draws_for, ScriptedPolicy(thinking_for(thinks_for)))
    check_each_is_executed_once(world, env, actions=12, frames_of_thinking=round(20 * thinks_for))


def test_each_action_is_executed_once_by_a_commander_that_is_held_up(world, start):
    """For longer than a frame, now and then, as on a computer with too much to do."""
    env, node = start(0.0, ScriptedPolicy(thinking_for(0.05)))
    pauses = itertools.cycle([0.07, 0.12, 0.2])
    node.create_timer(
        0.31, lambda: time.sleep(next(pauses)), clock=Clock(clock_type=ClockType.STEADY_TIME)
    )
    check_each_is_executed_once(world, env, actions=30, frames_of_thinking=10)


def thinking_for(seconds):
    def act(observation):
        time.sleep(seconds)
        return FORWARD

    return act


def check_each_is_executed_once(world, env, *, actions, frames_of_thinking):
    count, actions = actions, world.record(VlaAction, 'action')
    instruction = world.instruct('add up')
    wait_for(lambda: len(actions.messages) >= count, 'actions')
    instruction.publish(String(data=''))
    rest = 15 + 2 * frames_of_thinking  # frames; longer than between two actions
    wait_for(lambda: not np.any([step[:6] for step in env.steps[-rest:]]), 'the last action')
    moved = np.sum(env.steps, axis=0)[:6]
    np.testing.assert_allclose(moved, len(actions.messages) * FORWARD[:6])
    each = [step[:6] for step in env.steps if step[:6].any()]
    np.testing.assert_allclose(each, [FORWARD[:6]] * len(each))  # none is spread over two


def test_an_action_takes_two_or_three_periods(world, start):
    """One of thinking, perhaps another, and one of motion."""
    actions = world.record(VlaAction, 'action')
    start(0.05, ScriptedPolicy())
    world.instruct('add up')
    wait_for(lambda: len(actions.messages) >= 20, 'actions')
    stamps = [to_nanoseconds(m.observation_stamp) / 50e6 for m in actions.messages]
    assert 2 <= np.median(np.diff(stamps)) <= 3


def test_it_is_reset_to_a_published_state(world, start):
    episodes = world.record(EpisodeStatus, 'episode', qos.LATCHED)
    env, _ = start(0.0, ScriptedPolicy())
    assert env.asked == (0, None, None)
    request = ResetEpisode.Request(seed=5, instruction='add', initial_state=7)
    assert world.remote.call(ResetEpisode, 'reset', request).success
    assert env.asked == (5, 'add', 7)
    status = wait_for(lambda: episodes.last.episode and episodes.last, 'the episode')
    assert (status.seed, status.initial_state) == (5, 7)
    assert world.remote.call(ResetEpisode, 'reset', ResetEpisode.Request(seed=6)).success
    assert env.asked == (6, None, None)
