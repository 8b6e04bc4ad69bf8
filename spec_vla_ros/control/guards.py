# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What an action must satisfy before it may move a robot."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionLimits:
    """The largest action that is believed.

    translation: metres per model step.
    rotation: radians per model step.
    gripper_margin: how far outside [0, 1] a gripper opening may lie and still be clipped.
    """

    translation: float
    rotation: float
    gripper_margin: float = 0.05


def refusal(values: np.ndarray, limits: ActionLimits) -> str | None:
    """Return why an action must not be executed, or None when it may.

    values: (7,) dx dy dz in metres, rotation vector in radians, gripper opening. An action beyond
    the limits is refused rather than clipped: it says that the policy, its norm stats or
    its image are wrong, and a clipped wrong action is still wrong.
    """
    values = np.asarray(values, dtype=float)
    if values.shape != (7,):
        return f'the action has shape {values.shape}, expected (7,)'
    if not np.isfinite(values).all():
        return f'the action is not finite: {np.array2string(values, precision=4)}'
    translation = math.hypot(*values[:3])
    if translation > limits.translation:
        return f'a step of {translation:.4f} m is above max_step_translation={limits.translation}'
    rotation = math.hypot(*values[3:6])
    if rotation > limits.rotation:
        return f'a step of {rotation:.4f} rad is above max_step_rotation={limits.rotation}'
    gripper, margin = float(values[6]), limits.gripper_margin
    if not -margin <= gripper <= 1 + margin:
        return f'a gripper opening of {gripper:.4f} is outside [0, 1]'
    return None
