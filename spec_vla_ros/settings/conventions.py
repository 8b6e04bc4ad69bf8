# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Parameters of the policy node about the pictures and actions of its checkpoint's training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spec_vla_ros.settings.parameter import parameter

_AS_RECIPE = (0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class ConventionSettings:
    """A recipe for the pictures and actions of the training, and fields that differ from it."""

    observation_recipe: str = parameter(
        "What the checkpoint was trained on: 'plain', 'libero', 'bridge', or a YAML file with the "
        "fields that differ from 'plain'; empty: 'plain', if the norm stats hint at no other one",
        default='',
    )
    image_rotation: int = parameter(
        "Turn of the camera's picture, counter-clockwise: 0, 90, 180 or 270; -1: as the recipe "
        'says',
        default=-1,
        unit='deg',
        low=-1,
        high=270,
    )
    image_crop: float = parameter(
        'Part of the area that is kept, from the middle, and resized back; 1: all of it; 0: as '
        'the recipe says',
        default=0.0,
        low=0.0,
        high=1.0,
    )
    gripper_range: tuple[float, ...] = parameter(
        "The policy's values for the two ends of the gripper's travel, the lower one first; both "
        '0: as the recipe says',
        default=_AS_RECIPE,
        low=-1000.0,
        high=1000.0,
    )
    gripper_inverted: bool = parameter(
        'Whether the higher end of gripper_range means closed; false: as the recipe says',
        default=False,
    )
    action_scale: tuple[float, ...] = parameter(
        'What 1.0 of a displacement and 1.0 of a rotation are; both 0: as the recipe says',
        default=_AS_RECIPE,
        unit='m, rad',
        low=0.0,
        high=100.0,
    )

    @property
    def recipe_changes(self) -> dict[str, Any]:
        """The recipe's fields that are changed, by name."""
        changes: dict[str, Any] = {}
        if self.image_rotation >= 0:
            changes['image_rotation'] = self.image_rotation
        if self.image_crop > 0:
            changes['image_crop'] = self.image_crop
        if self.gripper_range != _AS_RECIPE:
            changes['gripper_range'] = self.gripper_range
        if self.gripper_inverted:
            changes['gripper_inverted'] = True
        if any(self.action_scale):
            changes['action_scale'] = self.action_scale
        return changes
