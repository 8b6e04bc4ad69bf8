# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Targets integrated from velocities."""

import numpy as np
import pytest

from spec_vla_ros.control.schedule import Twist
from spec_vla_ros.control.watches import Pose
from spec_vla_ros.quaternions import IDENTITY, product
from spec_vla_ros.ros.arm_outputs import PoseTarget


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
