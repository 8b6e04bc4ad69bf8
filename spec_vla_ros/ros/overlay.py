# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Shows what the policy does: markers for RViz and Foxglove, and an annotated camera image.

Nothing is computed while nobody subscribes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from geometry_msgs.msg import Point
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from spec_vla_ros.control.loop import ControlLoop
from spec_vla_ros.control.poses import Pose
from spec_vla_ros.control.tick import RUNNING, Halt, NewAction, Reason, Tick
from spec_vla_ros.inference.wire import describe
from spec_vla_ros.inference.worker import InferenceWorker
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.converters import ImageError, rgb_to_image, to_nanoseconds, to_time
from spec_vla_ros.ros.inputs import Inputs
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.types import accept_length

PATIENCE = 1.0  # seconds that cleaning up waits for a picture that is being drawn
PATH_STEPS = 10
"""The predicted path shows where this many repetitions of the action would take the arm."""

BLUE = ColorRGBA(r=0.2, g=0.5, b=1.0, a=1.0)
ORANGE = ColorRGBA(r=1.0, g=0.6, b=0.1, a=0.8)
WHITE = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
RED = ColorRGBA(r=1.0, g=0.2, b=0.2, a=1.0)
TEXT_HEIGHT, TEXT_ABOVE = 0.025, 0.12  # metres

SMALLEST = 480  # pixels of width; smaller pictures are enlarged so that words are legible
LINE = 55
"""Characters of a line that fit into the picture's width."""

GOOD, BAD = (90, 200, 110), (230, 80, 70)
INK = (255, 255, 255)


class Overlay:
    """Publishes `markers` and `annotated_image`, with each action and when the node halts.

    Args:
        node: publishes them while it is active.
        loop: knows where the end effector is.
        inputs: know the newest image.
        to_rgb: converts an image to (H, W, 3) uint8 RGB.
        settings: give the frame of the markers.
    """

    def __init__(
        self,
        node: LifecycleNode,
        loop: ControlLoop,
        inputs: Inputs,
        *,
        to_rgb: Callable[[Image | CompressedImage], np.ndarray],
        settings: PolicySettings,
    ) -> None:
        self._node, self._loop, self._inputs = node, loop, inputs
        self._to_rgb, self._frame = to_rgb, settings.command_frame
        self._latest: NewAction | None = None
        self._shown = RUNNING
        self._markers = node.create_lifecycle_publisher(MarkerArray, 'markers', qos.COMMAND)
        self._images = node.create_lifecycle_publisher(Image, 'annotated_image', qos.CAMERA)
        self._artist = InferenceWorker(self._draw)  # drawing takes longer than a tick may

    def ticked(self, tick: Tick, *, now_ns: int) -> None:
        """Show the new action or the new reason to halt, if a tick has one."""
        news = tick.new_action is not None or tick.halt.reason is not self._shown.reason
        self._shown = tick.halt
        if tick.halt.reason is not Reason.NONE:
            self._latest = None
        elif tick.new_action is not None:
            self._latest = tick.new_action
        if not news:
            return
        if self._markers.get_subscription_count():
            self._markers.publish(
                marker_array(
                    self._latest,
                    tick.halt,
                    pose=self._loop.pose,
                    now_ns=now_ns,
                    frame_id=self._frame,
                )
            )
        if self._images.get_subscription_count() and self._inputs.image is not None:
            self._show_image(tick, self._inputs.image)

    def close(self) -> None:
        """Close the topics."""
        self._artist.close(timeout=PATIENCE)
        for publisher in (self._markers, self._images):
            self._node.destroy_lifecycle_publisher(publisher)

    def _show_image(self, tick: Tick, message: Image | CompressedImage) -> None:
        """Have a picture drawn, in place of one that has not been begun yet."""
        drawn = self._artist.poll()
        if drawn is not None and isinstance(drawn.outcome, Exception):
            self._node.get_logger().warning(
                f'annotated_image cannot be drawn: {describe(drawn.outcome)}',
                throttle_duration_sec=10.0,
            )
        lines = [self._loop.instruction, *caption(self._latest, tick.halt)]
        self._artist.discard()  # a picture that is being drawn is still published, before this
        self._artist.submit(_Drawing(message, lines, good=tick.halt.reason is Reason.NONE))

    def _draw(self, drawing: _Drawing) -> None:
        """Draw and publish; in the artist's thread."""
        try:
            picture = self._to_rgb(drawing.message)
        except ImageError:  # the loop halts because of it, and says so
            return
        picture = annotated(picture, drawing.lines, good=drawing.good)
        header = drawing.message.header
        stamp_ns = to_nanoseconds(header.stamp)
        self._images.publish(rgb_to_image(picture, stamp_ns=stamp_ns, frame_id=header.frame_id))


@dataclass(frozen=True, slots=True)
class _Drawing:
    """An image to be published with lines of text; good: whether the node is running."""

    message: Image | CompressedImage
    lines: Sequence[str]
    good: bool


def marker_array(
    new: NewAction | None, halt: Halt, *, pose: Pose | None, now_ns: int, frame_id: str
) -> MarkerArray:
    """Return markers: an arrow along the commanded delta, the predicted path, and a caption.

    new: the action that is being executed, if any. pose: where the end effector is; without a pose
    in frame_id, everything is shown at the frame's origin.
    """
    origin = np.zeros(3)
    if pose is not None and pose.frame_id == frame_id:
        origin = np.asarray(pose.position, dtype=float)

    def marker(name: str, kind: int, colour: ColorRGBA) -> Marker:
        result = Marker(ns=name, type=kind, action=Marker.ADD, color=colour)
        result.header.frame_id = frame_id
        result.header.stamp = to_time(now_ns)
        result.pose.orientation.w = 1.0
        return result

    words = marker('words', Marker.TEXT_VIEW_FACING, WHITE if halt.reason is Reason.NONE else RED)
    words.pose.position = _point(origin + np.array([0, 0, TEXT_ABOVE]))
    words.scale.z = TEXT_HEIGHT
    words.text = '\n'.join(caption(new, halt))
    arrow, path = marker('delta', Marker.ARROW, BLUE), marker('path', Marker.LINE_STRIP, ORANGE)
    if new is None:
        arrow.action = path.action = Marker.DELETE
        return MarkerArray(markers=[arrow, path, words])
    delta = np.asarray(new.action.values[:3], dtype=float)
    arrow.points = [_point(origin), _point(origin + delta)]
    arrow.scale.x, arrow.scale.y, arrow.scale.z = 0.004, 0.008, 0.008  # shaft, head
    path.points = [_point(origin + step * delta) for step in range(PATH_STEPS + 1)]
    path.scale.x = 0.002
    return MarkerArray(markers=[arrow, path, words])


def caption(new: NewAction | None, halt: Halt) -> list[str]:
    """Return the lines of the caption: why the arm stands still, or how its action was decoded."""
    if halt.reason is not Reason.NONE:
        return [f'halted: {halt.text}']
    if new is None:
        return ['running']
    stats, dimensions = new.action.stats, len(new.action.values)
    mode = stats.mode
    if stats.acceptance_thresholds:
        mode += f' r={max(stats.acceptance_thresholds)}'
    length = accept_length(dimensions, stats.target_passes)
    rounds = 'no verify round' if length is None else f'accept length {length:.2f}'
    return [
        f'{mode}, {rounds}, {stats.target_passes} passes, {new.inference_seconds * 1e3:.0f} ms'
    ]


def annotated(rgb: np.ndarray, lines: Sequence[str], *, good: bool) -> np.ndarray:
    """Return a picture with lines of text below it, framed in green (good) or red.

    rgb: (H, W, 3) uint8, which is not changed; returns (H', W', 3) uint8.
    """
    height, width = rgb.shape[:2]
    scale = max(1, -(-SMALLEST // width))
    picture = cv2.resize(rgb, (width * scale, height * scale), interpolation=cv2.INTER_NEAREST)
    height, width = picture.shape[:2]
    size = width / 1100
    step = int(34 * size)
    plain = [line.encode('ascii', 'replace').decode() for line in lines]  # the font has no more
    wrapped = [part for line in plain for part in textwrap.wrap(line, LINE)]
    band = np.full((step * len(wrapped) + step // 2, width, 3), 24, np.uint8)
    for number, words in enumerate(wrapped, start=1):
        place = (step // 3, step * number)
        cv2.putText(band, words, place, cv2.FONT_HERSHEY_SIMPLEX, size, INK, 1, cv2.LINE_AA)
    cv2.rectangle(picture, (0, 0), (width - 1, height - 1), GOOD if good else BAD, 2 * scale)
    return np.concatenate([picture, band])


def _point(position: np.ndarray) -> Point:
    x, y, z = map(float, position)
    return Point(x=x, y=y, z=z)
