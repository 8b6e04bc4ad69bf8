# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Whether the end effector's position can be relied on."""

import numpy as np
import pytest

from spec_vla_ros.control.pose_watch import Pose, PoseWatch

SECOND = 1_000_000_000
STAMP = 100 * SECOND


@pytest.mark.parametrize(
    ('position', 'frame', 'age', 'words'),
    [
        ([0, 0, 0], 'base_link', 0.1, None),
        ([0, 0, 0], 'base_link', 0.3, '0.30 s old'),
        ([0, 0, 0], 'base_link', -0.3, '-0.30 s old'),
        ([0, 0, 0], 'camera', 0.1, "in frame 'camera', not in 'base_link'"),
        ([0, np.nan, 0], 'base_link', 0.1, 'not finite'),
    ],
)
def test_a_pose_is_good_if_fresh_finite_and_in_the_right_frame(position, frame, age, words):
    watch = PoseWatch()
    watch.store(Pose(np.array(position, float), np.array([0, 0, 0, 1.0]), frame, STAMP))
    fault = watch.fault(now_ns=STAMP + round(age * SECOND), timeout=0.2, frame_id='base_link')
    assert fault is None if words is None else words in fault


def test_without_a_pose_there_is_nothing_to_rely_on():
    assert 'no end-effector pose' in PoseWatch().fault(now_ns=0, timeout=1.0, frame_id='base')
