# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Compares a policy's actions with the motions of a recorded arm, and explains differences.

The comparison is open-loop: the pictures are those of the recording. On a demonstration like those
of the training, every dimension that moves should follow the recording. If one does not, its
convention is probably wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spec_vla_ros.types import DIMENSION_NAMES, DIMENSIONS

GRIPPER = DIMENSIONS - 1

MIN_PAIRS = 20
"""Fewest pairs of picture and motion from which anything is concluded."""
_STILL = 2e-4  # metres or radians per step; smaller motions say nothing about signs
_FOLLOWS, _STRONG = 0.3, 0.5  # correlations
_FARTHEST_STEP = 0.3  # metres; no recorded arm moves farther between two pictures
_STEADY = 1e-3  # of the speed; motions that vary less have no correlation with anything
_OFF = 3.0  # times too far or too short; an unsure policy moves less than the recorded arm
_FAR_OFF = 10.0  # times too far or too short that are believed even without correlation
_LEAST_PART = 0.6  # of the gripper's recorded travel that the policy should use

_SCALE = 'scale off by'
_TOO_FAR = 'recorded steps are too far: poses in millimetres?'
_SAME_SPEED = 'recorded speed is constant: no correlation'


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How well one dimension agrees.

    name: one of `DIMENSION_NAMES`.
    recorded, predicted: 95th percentile of the absolute values, in metres, radians or openings.
    correlation: of both; None if one of them is constant.
    same_sign: share of the pairs with the same direction among those in which the arm moved, or,
        for the gripper, with both on the same side of half open; None if there are none.
    median_error: median of the absolute difference.
    suspicion: in words, what would explain a disagreement; empty if they agree.
    """

    name: str
    recorded: float
    predicted: float
    correlation: float | None
    same_sign: float | None
    median_error: float
    suspicion: str


def agreements(predicted: np.ndarray, recorded: np.ndarray) -> list[Agreement]:
    """Return how well each dimension agrees.

    Args:
        predicted: (N, 7), the policy's actions in metres, radians and openings.
        recorded: (N, 7), the arm's motions likewise; unknown openings are NaN.

    Raises:
        ValueError: there are too few pairs to say anything.
    """
    if len(predicted) < MIN_PAIRS:
        raise ValueError(
            f'{len(predicted)} pairs of picture and motion: at least {MIN_PAIRS} are needed to '
            'say anything; give more recordings, or check that stamps of pictures and arm agree'
        )
    found = [_axis(predicted, recorded, d) for d in range(GRIPPER)]
    known = np.isfinite(recorded[:, GRIPPER])
    if known.sum() >= MIN_PAIRS:
        found.append(_gripper(predicted[known, GRIPPER], recorded[known, GRIPPER]))
    return found


def verdict(found: Sequence[Agreement]) -> str:
    """Return the conclusion from all dimensions, in a sentence."""
    moving = [a for a in found if a.correlation is not None and a.recorded > _STILL]
    arm = [a for a in found if a.name != DIMENSION_NAMES[GRIPPER] and a.recorded > _STILL]
    if too_far := [a.recorded for a in arm if a.suspicion == _TOO_FAR]:
        return (
            f'The recorded arm goes {max(too_far):.2g} m between two pictures: its poses look '
            'like millimetres. Record them in metres, and change no parameter before.'
        )
    if not moving and not arm:
        return 'The recorded arm hardly moves: nothing can be said.'
    if not moving and all(a.suspicion == _SAME_SPEED for a in arm):
        return (
            'The recorded arm moves at a constant speed, which has no correlation with what the '
            'policy says: nothing can be said. Give a recording in which it stops or turns back.'
        )
    if not moving:
        return (
            'The policy says the same in every step, whatever the recorded arm does: it is likely '
            'shown another picture than it was trained on, or told other words.'
        )
    bad = [a for a in moving if a.suspicion]
    if not bad:
        return f'All of the {len(moving)} dimensions that move follow the recording.'
    if all((a.correlation or 0.0) < _FOLLOWS for a in moving):
        return (
            'No dimension follows the recording: the policy is likely shown another picture than '
            'it was trained on (camera, image_rotation, image_crop), told other words, or was '
            'trained for another robot.'
        )
    return f'{len(bad)} of {len(moving)} dimensions that move look wrong; see the last column.'


def has_other_scale(found: Sequence[Agreement]) -> bool:
    """Return whether a dimension seems to be in another unit than the recording."""
    return any(each.suspicion.startswith(_SCALE) for each in found)


def _axis(predicted: np.ndarray, recorded: np.ndarray, d: int) -> Agreement:
    said, done = predicted[:, d], recorded[:, d]
    far_said, far_done = (float(np.percentile(np.abs(v), 95)) for v in (said, done))
    moved = np.abs(done) > max(_STILL, 0.1 * far_done)
    group = range(3) if d < 3 else range(3, 6)
    by_axis = {e: _correlation(said, recorded[:, e]) for e in group}
    if far_done < _STILL:
        suspicion = 'hardly moves in the recording'
    elif d < 3 and np.percentile(np.abs(recorded[:, :3]), 95, axis=0).max() > _FARTHEST_STEP:
        suspicion = _TOO_FAR
    elif by_axis[d] is None and _is_steady(done):
        suspicion = _SAME_SPEED
    else:
        suspicion = _suspicion(d, by_axis, far_said / far_done)
    return Agreement(
        name=DIMENSION_NAMES[d],
        recorded=far_done,
        predicted=far_said,
        correlation=by_axis[d],
        same_sign=float(np.mean(np.sign(said) == np.sign(done), where=moved))
        if moved.any()
        else None,
        median_error=float(np.median(np.abs(said - done))),
        suspicion=suspicion,
    )


def _suspicion(d: int, by_axis: dict[int, float | None], ratio: float) -> str:
    """Return what would explain an axis; empty if it agrees.

    by_axis: correlation of the axis d in the predictions with each recorded axis of its group.
    ratio: how far the policy moves, divided by how far the arm moved.
    """
    own = by_axis[d] or 0.0
    other = max(by_axis, key=lambda e: abs(by_axis[e] or 0.0))
    strongest = by_axis[other] or 0.0
    if other != d and abs(strongest) > max(_STRONG, abs(own) + _FOLLOWS):
        way = '' if strongest > 0 else '-'
        return f'follows {way}{DIMENSION_NAMES[other]}: image_rotation, or another frame?'
    if own < -_STRONG:
        return 'inverted: image_rotation, or another frame?'
    follows = own > _FOLLOWS
    limit = _OFF if follows else _FAR_OFF
    if ratio > limit:
        return f'{_SCALE} {ratio:.2g}x: action_scale, or unnorm_key?'
    if ratio * limit < 1:
        return f'{_SCALE} 1/{1 / max(ratio, 1e-9):.2g}x: action_scale, or unnorm_key?'
    return '' if follows else 'does not follow the recording'


def _gripper(said: np.ndarray, done: np.ndarray) -> Agreement:
    correlation = _correlation(said, done)
    outside = np.mean((said < -0.1) | (said > 1.1))
    little = np.ptp(done) < 0.1
    if done.min() < -0.1 or done.max() > 1.1 or (little and abs(correlation or 0.0) > _STRONG):
        ends = f'{done.min():.3g} to {done.max():.3g}'
        suspicion = f'recorded from {ends}, not 0 to 1: --gripper-closed, --gripper-open?'
    elif little:
        suspicion = 'hardly moves in the recording'
    elif correlation is not None and correlation < -_STRONG:
        suspicion = 'gripper inverted: gripper_inverted, or --gripper-open?'
    elif outside > 0.05:
        suspicion = f'{outside:.0%} outside [0, 1]: gripper_range?'
    elif np.ptp(said) < _LEAST_PART * np.ptp(done):
        suspicion = 'moves a part of the way only: gripper_range?'
    elif (correlation or 0.0) < _FOLLOWS:
        suspicion = 'does not follow the recording'
    else:
        suspicion = ''
    return Agreement(
        name=DIMENSION_NAMES[GRIPPER],
        recorded=float(np.percentile(np.abs(done), 95)),
        predicted=float(np.percentile(np.abs(said), 95)),
        correlation=correlation,
        same_sign=float(np.mean((said > 0.5) == (done > 0.5))),
        median_error=float(np.median(np.abs(said - done))),
        suspicion=suspicion,
    )


def _correlation(said: np.ndarray, done: np.ndarray) -> float | None:
    if np.std(said) < 1e-9 or _is_steady(done):
        return None
    return float(np.corrcoef(said, done)[0, 1])


def _is_steady(done: np.ndarray) -> bool:
    """Return whether a motion is the same in every step, except for rounding of its poses."""
    return bool(np.std(done) < max(1e-9, _STEADY * abs(np.mean(done))))
