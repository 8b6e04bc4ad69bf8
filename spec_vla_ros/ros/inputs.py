# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the policy node listens to while it is configured."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String

from spec_vla_ros.control.loop import ControlLoop
from spec_vla_ros.control.poses import Pose
from spec_vla_ros.control.repeats import RepeatWatch
from spec_vla_ros.control.tick import Reason
from spec_vla_ros.control.watches import SEVERAL, Source
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.converters import to_nanoseconds
from spec_vla_ros.ros.doubts import Doubts
from spec_vla_ros.ros.endpoints import beside, type_name
from spec_vla_ros.ros.hearing import Listener, MessageInfo, Messages, nothing_heard, source_of
from spec_vla_ros.ros.names import CAMERA_TOPICS

IMAGES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
POSES = (type_name(PoseStamped),)


@dataclass(frozen=True, slots=True)
class InstructionMemory:
    """What is remembered of instructions for as long as the node lives.

    Without it, configuring again would bring an old instruction back: the last message of a
    latched publisher goes to every new subscription, whatever has become of it.
    """

    messages: Messages = field(default_factory=nothing_heard)
    repeats: RepeatWatch = field(default_factory=RepeatWatch)


class Inputs:
    """Subscribes to camera, instruction and pose, and hands each message on as it comes.

    Args:
        node: which node subscribes.
        loop: takes images and poses.
        compressed: whether images come compressed.
        on_instruction: called with each instruction, and with who gave it.
        given: the instruction messages that were heard before; kept up to date.
        doubts: is shown each image and pose.
    """

    def __init__(
        self,
        node: Node,
        loop: ControlLoop,
        *,
        compressed: bool,
        on_instruction: Callable[[str, Hashable], None],
        given: Messages,
        doubts: Doubts,
    ) -> None:
        self._node, self._loop, self._doubts = node, loop, doubts
        self.images_missed = 0  # published, and lost or overtaken on the way here
        self.image: Image | CompressedImage | None = None  # the newest
        self._latest: tuple[Hashable, int] = (None, 0)
        kind, topic = CompressedImage if compressed else Image, CAMERA_TOPICS[compressed]
        self._images = Listener(node, kind, topic, self._on_image, profiles=(qos.CAMERA,))
        self._instructions = Listener(
            node,
            String,
            'instruction',
            lambda message, info: on_instruction(message.data, source_of(info)),
            in_order=True,
            heard=given,
        )
        self._poses = Listener(
            node, PoseStamped, 'end_effector_pose', self._on_pose, profiles=(qos.MEASURED,)
        )
        self._listeners = (self._instructions, self._poses, self._images)

    def not_heard(self) -> tuple[str, ...]:
        """Return in words each publisher whose messages cannot be heard, and why."""
        return tuple(text for listener in self._listeners for text in listener.not_heard())

    def who_instructs(self, source: Hashable) -> str:
        """Return the name of the node that gave an instruction; words if it is not known."""
        return self._instructions.name_of(source)

    def sources(self, reason: Reason) -> str:
        """Return in words where the input comes from that is this reason to halt; else ''."""
        images = functools.partial(
            self._sources, self._images, IMAGES, 'images', 'annotated_image'
        )
        sources: dict[Reason, Callable[[], str]] = {
            Reason.NO_INSTRUCTION: self._instruction_sources,
            Reason.POSE_MISSING: lambda: self._sources(self._poses, POSES, 'poses', 'pose_target'),
            Reason.NO_IMAGE: lambda: images() + self._why_none_arrives(),
            Reason.STALE_IMAGE: images,
            Reason.FROZEN_IMAGE: self._images.sources,
            Reason.TWO_CAMERAS: self._images.sources,
        }
        return sources[reason]() if reason in sources else ''

    def _sources(self, listener: Listener, kinds: tuple[str, ...], what: str, ours: str) -> str:
        """Return in words where messages are expected from, and which other topics have some.

        ours: a topic on which the node itself publishes messages of this type.
        """
        here = {listener.topic, self._node.resolve_topic_name(ours)}
        others = [
            f'{name} ({kind})'
            for name, (kind, *_) in self._node.get_topic_names_and_types()
            if kind in kinds and name not in here and self._node.count_publishers(name)
        ]
        elsewhere = f'; there are {what} on {", ".join(others)}' if others else ''
        return f'{listener.sources()}{elsewhere}'

    def _why_none_arrives(self) -> str:
        """Return what to look at if images are published and not one has come since configure."""
        if self.image is not None or not self._images.is_offered_some:
            return ''
        return (
            '; none of them has arrived: see by `ros2 topic hz` here that there are some; between '
            'containers, or users of one computer, both sides need the same shared memory '
            '(--ipc host, and one user) or none; between computers, compressed images'
        )

    def _instruction_sources(self) -> str:
        """Return in words where instructions are expected from, and who publishes some unheard."""
        topic, texts = self._instructions.topic, [self._instructions.sources()]

        def called(name: str, kind: str) -> bool:
            return kind == type_name(String) and name.endswith('/instruction')

        if not self._node.count_publishers(topic):
            texts += [
                f'{who}, and not on {topic}' for who, _ in beside(self._node, topic, called=called)
            ]
        return '; '.join(texts)

    def close(self) -> None:
        """Listen no more."""
        for listener in self._listeners:
            listener.close()

    def _on_image(self, message: Image | CompressedImage, info: MessageInfo) -> None:
        self.image, source = message, self._note_sequence(info)
        if source != SEVERAL:
            source = Source(source, message.header.frame_id)
        stamp_ns, now_ns = to_nanoseconds(message.header.stamp), self._now_ns()
        self._doubts.image(stamp_ns=stamp_ns, now_ns=now_ns)
        self._loop.store_image(message, stamp_ns=stamp_ns, now_ns=now_ns, source=source)

    def _on_pose(self, message: PoseStamped, info: MessageInfo) -> None:
        source = source_of(info)
        if source is None and self._node.count_publishers(self._poses.topic) > 1:
            source = SEVERAL
        else:
            source = Source(source, message.header.frame_id)
        point, turn, now_ns = message.pose.position, message.pose.orientation, self._now_ns()
        quaternion = np.array([turn.x, turn.y, turn.z, turn.w])
        stamp_ns = to_nanoseconds(message.header.stamp)
        self._doubts.pose(quaternion, stamp_ns=stamp_ns, now_ns=now_ns)
        self._loop.store_pose(
            Pose(
                position=np.array([point.x, point.y, point.z]),
                quaternion=quaternion,
                frame_id=message.header.frame_id,
                stamp_ns=stamp_ns or now_ns,
                source=source,
                arrival_ns=now_ns,
            )
        )

    def _note_sequence(self, info: MessageInfo) -> Hashable:
        """Count the images missed since the publisher's last one; return who published this one.

        Jazzy does not tell who published a message. There, sequence numbers tell whether there are
        several publishers: those of one publisher go up one by one, unless an image was lost.
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
