# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Targets integrated from velocities, and when one is published."""

import types

import numpy as np
import pytest

from spec_vla_ros.control.poses import Pose
from spec_vla_ros.control.schedule import Twist, zero_twist
from spec_vla_ros.control.tick import RUNNING, Halt, Reason, Tick
from spec_vla_ros.quaternions import IDENTITY, product
from spec_vla_ros.ros.arm_outputs import PoseOutput, PoseTarget
from spec_vla_ros.settings.nodes import PolicySettings


def pose(position=(0.4, 0.0, 0.2), quaternion=IDENTITY):
    return Pose(np.array(position), np.array(quaternion), 'base_link', 5)


def rotate(quaternion, vector):
    inverse = quaternion * np.array([-1, -1, -1, 1])
    return product(product(quaternion, np.append(vector, 0.0)), inverse)[:3]


def test_rotations_are_about_the_fixed_axes():
    """First about x, then about z of the base: the tool's y ends up along the base's z."""
    target = PoseTarget()
    target.anchor(pose())
    for axis in (0, 2):
        angular = np.zeros(3)
        angular[axis] = np.pi / 2
        for _ in range(10):
            target.move(Twist(np.zeros(3), angular), seconds=0.1)
    np.testing.assert_allclose(
        rotate(target.pose.quaternion, np.array([0.0, 1, 0])), [0, 0, 1], atol=1e-12
    )
    np.testing.assert_allclose(
        rotate(target.pose.quaternion, np.array([0.0, 0, 1])), [1, 0, 0], atol=1e-12
    )


def test_velocities_sum_up_to_the_displacement():
    target = PoseTarget()
    target.anchor(pose())
    for _ in range(3):
        target.move(Twist(np.array([0.3, 0, -0.15]), np.zeros(3)), seconds=1 / 30)
    np.testing.assert_allclose(target.pose.position, [0.43, 0, 0.185])
    assert target.pose.frame_id == 'base_link'
    assert np.linalg.norm(target.pose.quaternion) == pytest.approx(1.0)


@pytest.mark.parametrize('bad', [pose(quaternion=np.zeros(4)), pose(position=(np.nan, 0.0, 0.2))])
def test_a_pose_that_is_none_does_not_move_the_target(bad):
    target = PoseTarget()
    target.anchor(bad)
    assert target.pose is None
    target.anchor(pose())
    target.anchor(bad)
    assert target.pose.position.tolist() == [0.4, 0.0, 0.2]


def test_nothing_before_the_first_pose():
    target = PoseTarget()
    target.anchor(None)
    target.move(Twist(np.ones(3), np.ones(3)), seconds=1.0)
    assert target.pose is None


class Targets:
    """What an output of poses publishes, by x."""

    def __init__(self):
        self.published = []
        publisher = types.SimpleNamespace(
            publish=lambda message: self.published.append(message.pose.position.x)
        )
        self.warnings = []
        node = types.SimpleNamespace(
            create_lifecycle_publisher=lambda *args: publisher,
            get_logger=lambda: types.SimpleNamespace(warning=self.warnings.append),
        )
        self.output = PoseOutput(node, PolicySettings(command_type='pose', control_rate=10.0))

    def tick(self, *, measured=None, speed=0.0, new=False, halt=RUNNING):
        twist = Twist(np.array([speed, 0.0, 0.0]), np.zeros(3)) if speed else zero_twist()
        tick = Tick(twist, None, object() if new else None, halt)
        self.output.command(tick, measured=measured, now_ns=0)


NO_INSTRUCTION = Halt(Reason.NO_INSTRUCTION)


def test_an_old_target_does_not_outlive_a_pause():
    targets = Targets()
    targets.tick(measured=pose(), new=True, speed=0.1)
    targets.tick(measured=pose(), halt=NO_INSTRUCTION)
    targets.output.stand_still(measured=pose(), now_ns=0)
    assert targets.published == pytest.approx([0.41, 0.4, 0.4])
    jogged = pose(position=(0.9, 0.0, 0.2))
    for halt in (NO_INSTRUCTION, RUNNING):
        targets.tick(measured=jogged, halt=halt)
    targets.tick(measured=jogged, new=True, speed=0.1)
    assert targets.published[3:] == pytest.approx([0.91])


def test_without_a_pose_a_halt_leaves_the_target():
    targets = Targets()
    targets.tick(measured=pose(), new=True, speed=0.1)
    for _ in range(2):
        targets.tick(halt=NO_INSTRUCTION)
    targets.output.stand_still(measured=None, now_ns=0)
    assert targets.published == pytest.approx([0.41] * 4)


JOGGED = {
    'moved': pose(position=(0.4, 0.06, 0.2)),
    'turned': pose(quaternion=np.array([np.sin(0.2), 0.0, 0.0, np.cos(0.2)])),
}


@pytest.mark.parametrize('jogged', JOGGED.values(), ids=JOGGED)
def test_an_arm_that_others_move_while_it_halts_is_not_told_to_go_back(jogged):
    """As by its teach pendant: when its controller obeys again, it would."""
    targets = Targets()
    targets.tick(measured=pose(), new=True, speed=0.1)
    sagging = pose(position=(0.4, 0.0, 0.16), quaternion=-IDENTITY)
    for measured in (pose(), sagging, None):
        targets.tick(measured=measured, halt=NO_INSTRUCTION)
    assert targets.published == pytest.approx([0.41, 0.4, 0.4, 0.4])
    for halt in (NO_INSTRUCTION, NO_INSTRUCTION, RUNNING):
        targets.tick(measured=jogged, halt=halt)
    assert len(targets.published) == 4
    assert len(targets.warnings) == 1
    assert 'until the next action, which begins where it is then' in targets.warnings[0]
    targets.tick(measured=jogged, new=True, speed=0.1)
    assert targets.published[4:] == pytest.approx([0.41])
