# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What must hold before the arm may move: instruction, images, poses, no emergency stop."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from spec_vla_ros.control.poses import Pose, PoseWatch
from spec_vla_ros.control.schedule import Twist
from spec_vla_ros.control.tick import RUNNING, Halt, Reason
from spec_vla_ros.control.watches import FrozenWatch, ImageWatch
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.settings.outputs import POSE
from spec_vla_ros.types import instruction_fault

Image = TypeVar('Image')


class EmergencyStop:
    """The emergency stop: a latch, which stays pressed until it is released.

    It may outlive the control loop that it halts.
    """

    def __init__(self) -> None:
        self._text = ''

    @property
    def pressed(self) -> bool:
        """Whether nothing may move."""
        return bool(self._text)

    @property
    def text(self) -> str:
        """Who pressed it, in words; empty while it is not pressed."""
        return self._text

    def press(self, source: str) -> None:
        """Latch; source: who or what asked for it."""
        self._text = f'emergency stop ({source}), until reset'

    def release(self) -> None:
        """Unlatch."""
        self._text = ''


class FailureLatch:
    """Counts inferences that fail in a row, and latches when there are too many."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._latched: str | None = None

    @property
    def latched(self) -> str | None:
        """Why no more inferences are tried, or None while they are."""
        return self._latched

    def failed(self, reason: str, *, limit: int) -> None:
        """Note a failure; latch if it is the last one that `limit` allows."""
        self._in_a_row += 1
        if self._in_a_row >= limit:
            self._latched = (
                f'{self._in_a_row} inferences in a row failed (max_inference_failures={limit}), '
                f'the last one: {reason}; until reset or a new instruction'
            )

    def succeeded(self) -> None:
        """Note a good action."""
        self._in_a_row = 0

    def clear(self) -> None:
        """Start over."""
        self._in_a_row = 0
        self._latched = None


class Preconditions(Generic[Image]):
    """Keeps the newest inputs, and says why the arm must halt.

    Args:
        same_pixels: returns whether two images have the same pixels; called for every image.
        emergency: the emergency stop, which may be older than this object.
    """

    def __init__(
        self, *, same_pixels: Callable[[Image, Image], bool], emergency: EmergencyStop
    ) -> None:
        self._same_pixels = same_pixels
        self._frozen = FrozenWatch()
        self._frozen_pose = FrozenWatch('the end-effector pose has')
        self._bad_instruction: str | None = None
        self.emergency = emergency
        self.failures = FailureLatch()
        self.images: ImageWatch[Image] = ImageWatch()
        self.poses = PoseWatch()
        self.instruction = ''

    def store_image(
        self, image: Image, *, stamp_ns: int, now_ns: int, source: Hashable = None
    ) -> None:
        """Keep an image that has just arrived; stamp_ns is 0 if the camera gives no stamps.

        An image from another source restarts the watch for frozen images, even if its pixels are
        the same: a restarted camera may begin with the same picture that it ended with.
        """
        before = self.images.newest
        if before is None or before.source != source or not self._same_pixels(before.image, image):
            self._frozen.changed()
        self.images.store(image, stamp_ns=stamp_ns, now_ns=now_ns, source=source)

    def store_pose(self, pose: Pose) -> None:
        """Keep an end-effector pose that has just arrived."""
        before = self.poses.newest
        if before is None or not before.shows_the_same(pose):
            self._frozen_pose.changed()
        self.poses.store(pose)

    def store_instruction(self, text: str, *, again: bool = False) -> bool:
        """Take an instruction; return whether anything has changed.

        An empty one cancels, and the one in force changes nothing. None is taken while the
        emergency stop is pressed: releasing it must not set the arm in motion.

        again: treat the instruction in force like a new one.
        """
        text = text.strip()
        bad = instruction_fault(text)
        same = bad is None and text == self.instruction and self._bad_instruction is None
        if self.emergency.pressed or (same and not again):
            return False
        self._bad_instruction = bad
        self.instruction = '' if bad else text
        self.clear_faults()
        return True

    def refuse_instruction(self, text: str) -> None:
        """Drop the instruction in force because it is bad; text: why."""
        self.instruction, self._bad_instruction = '', text

    def cancel(self) -> None:
        """Drop the instruction."""
        self.instruction, self._bad_instruction = '', None

    def clear_faults(self) -> None:
        """Try again what was given up."""
        self.failures.clear()
        self._frozen.changed()
        self._frozen_pose.changed()

    def commanded(self, twist: Twist, *, seconds: float, now_ns: int) -> None:
        """Note what the arm is commanded, which pixels and pose must show later."""
        for watch in (self._frozen, self._frozen_pose):
            watch.commanded(twist, seconds=seconds, now_ns=now_ns)

    def halt(self, settings: PolicySettings, *, now_ns: int) -> Halt:
        """Return the first reason to halt, or RUNNING."""
        if self.emergency.pressed:
            return Halt(Reason.EMERGENCY_STOP, self.emergency.text)
        if self._bad_instruction is not None:
            return Halt(Reason.BAD_INSTRUCTION, self._bad_instruction, lasting=True)
        if not self.instruction:
            return Halt(
                Reason.NO_INSTRUCTION, 'no instruction has been given, or it was cancelled'
            )
        if self.failures.latched is not None:
            return Halt(Reason.TOO_MANY_FAILURES, self.failures.latched)
        newest, timeout = self.images.newest, settings.image_timeout
        if newest is None:
            return Halt(Reason.NO_IMAGE, 'no image has arrived since activation')
        if text := self.images.staleness(now_ns=now_ns, timeout=timeout):
            return Halt(Reason.STALE_IMAGE, text)
        if text := self.images.ambiguity(now_ns=now_ns, timeout=timeout):
            return Halt(Reason.TWO_CAMERAS, text)
        if settings.detect_frozen_image and (
            text := self._frozen.fault(seen_ns=newest.stamp_ns, timeout=timeout)
        ):
            return Halt(Reason.FROZEN_IMAGE, text)
        if settings.needs_pose and (text := self.pose_fault(settings, now_ns=now_ns)):
            return Halt(Reason.POSE_MISSING, text)
        return RUNNING

    def pose_fault(self, settings: PolicySettings, *, now_ns: int) -> str | None:
        """Return why the newest end-effector pose cannot be relied on, or None when it can."""
        text = self.poses.fault(
            now_ns=now_ns,
            timeout=settings.pose_timeout,
            frame_id=settings.command_frame,
            oriented=settings.command_type == POSE,
        )
        if text is None and settings.detect_frozen_image and self.poses.newest:
            text = self._frozen_pose.fault(
                seen_ns=self.poses.newest.stamp_ns, timeout=settings.image_timeout
            )
        return text
