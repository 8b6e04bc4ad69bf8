# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Collects frames of the tabletop, where the expert drives and is disturbed.

Every frame is labelled with the expert's action for each block on the table, so that one image
teaches several instructions.
"""

from __future__ import annotations

import numpy as np

from spec_vla_ros.sim.env import TabletopEnv
from spec_vla_ros.sim.expert import MAX_MOTION, expert_action
from spec_vla_ros.sim.scene import COLOURS
from spec_vla_ros.training.frames import POSITION, Frames, shrink
from spec_vla_ros.training.small_model import TABLETOP

MAX_STEPS = 36
_STEPS_AFTER_SUCCESS = 2
_SETTLE = (0.02, 0.10)  # range of the time between two motions, seconds
_OPENING = 0.01  # unit of the labels of the gripper's opening, metres


def collect_episodes(env: TabletopEnv, seeds: range) -> Frames:
    """Run an episode for each seed, and return all frames.

    The seed also chooses how much noise disturbs the expert, and whether the instruction changes
    midway.
    """
    records: list[dict] = []
    for seed in seeds:
        records += _episode(env, seed)
    return Frames(**{key: np.stack([r[key] for r in records]) for key in records[0]})


def _episode(env: TabletopEnv, seed: int) -> list[dict]:
    rng = np.random.default_rng((seed, 1))
    env.reset(seed=seed)
    wanted = env.colour
    noise = rng.choice([0.0, 0.2, 0.5])
    switch_at = rng.integers(4, 16) if rng.random() < 0.2 else None
    burst_left, burst = 0, np.zeros(6)
    records, steps_after_success = [], 0
    for step in range(MAX_STEPS):
        if step == switch_at:
            wanted = str(rng.choice(env.present))
        image = env.render()
        record = _label(env, image, seed)
        records.append(record)
        action = record['actions'][env.present.index(wanted)].astype(float)
        if burst_left == 0 and noise > 0 and rng.random() < 0.06:
            burst_left, burst = int(rng.integers(2, 6)), rng.uniform(-1.2, 1.2, 6)
        if burst_left:
            burst_left -= 1
            action[:6] = burst * MAX_MOTION
            if rng.random() < 0.1:
                action[6] = 1.0 - action[6]
        action[:6] += noise * rng.standard_normal(6) * MAX_MOTION
        env.step(action, settle=rng.uniform(*_SETTLE))
        if env.outcome().lifted == wanted:
            steps_after_success += 1
            if steps_after_success > _STEPS_AFTER_SUCCESS:
                break
    return records


def _label(env: TabletopEnv, image: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    position, _ = env.end_effector_pose()
    rotation = env.gripper_rotation()
    blocks = []
    for colour in env.present:
        block, block_rotation = env.block_pose(colour)
        yaw = 2 * np.arctan2(block_rotation[1, 0], block_rotation[0, 0])
        blocks.append([*(block / POSITION), np.cos(yaw), np.sin(yaw)])
    opening = env.finger_opening() / _OPENING
    end_effector = [*(position / POSITION), *rotation[:, 0], *rotation[:, 1], opening]
    return {
        'images': shrink(image, side=TABLETOP.image_size),
        'instructions': np.array([COLOURS.index(c) for c in env.present]),
        'actions': np.array([expert_action(env, c) for c in env.present], np.float32),
        'end_effector': np.array(end_effector, np.float32),
        'things': np.array(blocks, np.float32),
        'episodes': np.array(seed),
    }
