# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the policy node listens to while it is configured."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String

from spec_vla_ros.control.loop import ControlLoop
from spec_vla_ros.control.tick import Reason
from spec_vla_ros.control.watches import SEVERAL, Pose
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.converters import to_nanoseconds
from spec_vla_ros.ros.hearing import Listener, MessageInfo, source_of

IMAGES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')


class Inputs:
    """Camera, instruction and pose, each message handed on as it comes.

    Args:
        node: whose subscriptions.
        loop: takes images and poses.
        compressed: whether images come compressed.
        on_instruction: called with each instruction, and who gave it.
    """

    def __init__(
        self,
        node: Node,
        loop: ControlLoop,
        *,
        compressed: bool,
        on_instruction: Callable[[str, Hashable], None],
    ) -> None:
        self._node, self._loop = node, loop
        self.images_missed = 0  # published, and lost or overtaken on the way here
        self.image: Image | CompressedImage | None = None  # the newest
        self._latest: tuple[Hashable, int] = (None, 0)
        kind, topic = (CompressedImage, 'image/compressed') if compressed else (Image, 'image')
        self._images = Listener(node, kind, topic, self._on_image, profiles=(qos.CAMERA,))
        self._instructions = Listener(
            node,
            String,
            'instruction',
            lambda message, info: on_instruction(message.data, source_of(info)),
            in_order=True,
        )
        self._poses = Listener(
            node, PoseStamped, 'end_effector_pose', self._on_pose, profiles=(qos.MEASURED,)
        )
        self._listeners = (self._instructions, self._poses, self._images)

    def not_heard(self) -> tuple[str, ...]:
        """Return in words each publisher that sends what cannot be heard, and why."""
        return tuple(text for listener in self._listeners for text in listener.not_heard())

    def sources(self, reason: Reason) -> str:
        """Return in words where that is expected from whose lack is a reason to halt; else ''."""
        sources: dict[Reason, Callable[[], str]] = {
            Reason.NO_INSTRUCTION: self._instructions.sources,
            Reason.POSE_MISSING: self._poses.sources,
            Reason.NO_IMAGE: self._image_sources,
        }
        return sources[reason]() if reason in sources else ''

    def _image_sources(self) -> str:
        """Return in words where images are expected from, and where there are others."""
        ours = {self._images.topic, self._node.resolve_topic_name('annotated_image')}
        others = [
            f'{name} ({kind})'
            for name, (kind, *_) in self._node.get_topic_names_and_types()
            if kind in IMAGES and name not in ours and self._node.count_publishers(name)
        ]
        elsewhere = f'; there are images on {", ".join(others)}' if others else ''
        return f'{self._images.sources()}{elsewhere}'

    def close(self) -> None:
        """Listen no more."""
        for listener in self._listeners:
            listener.close()

    def _on_image(self, message: Image | CompressedImage, info: MessageInfo) -> None:
        self.image, source = message, self._note_sequence(info)
        self._loop.store_image(
            message,
            stamp_ns=to_nanoseconds(message.header.stamp),
            now_ns=self._now_ns(),
            source=source,
        )

    def _on_pose(self, message: PoseStamped, info: MessageInfo) -> None:
        source = source_of(info)
        if source is None and self._node.count_publishers(self._poses.topic) > 1:
            source = SEVERAL
        point, turn = message.pose.position, message.pose.orientation
        self._loop.store_pose(
            Pose(
                position=np.array([point.x, point.y, point.z]),
                quaternion=np.array([turn.x, turn.y, turn.z, turn.w]),
                frame_id=message.header.frame_id,
                stamp_ns=to_nanoseconds(message.header.stamp) or self._now_ns(),
                source=source,
            )
        )

    def _note_sequence(self, info: MessageInfo) -> Hashable:
        """Count the numbers left out since the publisher's last image; return who it is.

        Where the distribution does not tell, as Jazzy, each publisher's numbers do: they go up one
        by one unless an image was lost, or there are several.
        """
        source = source_of(info)
        number = info.get('publication_sequence_number') or 0
        (before, last), self._latest = self._latest, (source, number)
        count = self._node.count_publishers
        if source is None and number != last + 1 and count(self._images.topic) > 1:
            return SEVERAL
        if before == source and last:
            self.images_missed += max(0, number - last - 1)
        return source

    def _now_ns(self) -> int:
        return self._node.get_clock().now().nanoseconds
