# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Warnings about images and poses that are used although they may be wrong; each comes once."""

from __future__ import annotations

import numpy as np
from rclpy.node import Node

from spec_vla_ros.pixels import doubt
from spec_vla_ros.ros.names import CAMERA_TOPICS
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.settings.outputs import POSE
from spec_vla_ros.types import NANOSECONDS

_BEGINNING = NANOSECONDS  # one second, the start of simulated time, in which a stamp may be zero
_NO_ROTATION = (0.0, 0.0, 0.0, 1.0)


class Doubts:
    """Warns of images and poses that may be wrong.

    Args:
        node: its log gets the warnings.
        settings: the settings when the node is configured.
    """

    def __init__(self, node: Node, settings: PolicySettings) -> None:
        self._logger, self._said = node.get_logger(), set[str]()
        self._needs_pose, self._oriented = settings.needs_pose, settings.command_type == POSE
        image = CAMERA_TOPICS[settings.image_transport == 'compressed']
        self._images, self._poses = map(node.resolve_topic_name, (image, 'end_effector_pose'))

    def image(self, *, stamp_ns: int, now_ns: int) -> None:
        """Warn if an image has no stamp."""
        if _unstamped(stamp_ns, now_ns):
            self._say(
                f'images on {self._images} come without a stamp: each counts as taken when it '
                'arrives, so that the arm may act on a picture from before the end of its last '
                'motion, and a camera that lags is not noticed; fill in header.stamp where they '
                'are published, or set settle_time to how late they are'
            )

    def pose(self, quaternion: np.ndarray, *, stamp_ns: int, now_ns: int) -> None:
        """Warn if a pose has no stamp or no rotation; quaternion: (4,) x, y, z, w."""
        if self._needs_pose and _unstamped(stamp_ns, now_ns):
            self._say(
                f'poses on {self._poses} come without a stamp: each counts as measured when it '
                'arrives, so that one which lags is not noticed; fill in header.stamp where they '
                'are published'
            )
        if self._oriented and tuple(quaternion.tolist()) == _NO_ROTATION:
            self._say(
                f'poses on {self._poses} have no rotation at all (x 0, y 0, z 0, w 1), as those '
                'of which only the position was filled in: with command_type pose the arm would '
                'turn its tool to that; see that it is true before you give an instruction'
            )

    def picture(self, rgb: np.ndarray) -> np.ndarray:
        """Warn of an (H, W, 3) uint8 picture that `doubt` doubts, and return it; any thread."""
        if why := doubt(rgb):
            self._say(f'{self._images}: {why}')
        return rgb

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._logger.warning(text)


def _unstamped(stamp_ns: int, now_ns: int) -> bool:
    return not stamp_ns and now_ns > _BEGINNING
