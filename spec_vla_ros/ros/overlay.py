# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the policy does, to be seen: markers for RViz and Foxglove, and an annotated camera image.

Nothing is computed while nobody looks.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CompressedImage, Image
from visualization_msgs.msg import MarkerArray

from spec_vla_ros.control.loop import ControlLoop
from spec_vla_ros.control.tick import RUNNING, NewAction, Reason, Tick
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.annotate import annotated
from spec_vla_ros.ros.converters import ImageError, rgb_to_image, to_nanoseconds
from spec_vla_ros.ros.inputs import Inputs
from spec_vla_ros.ros.markers import caption, marker_array
from spec_vla_ros.settings.nodes import PolicySettings


class Overlay:
    """Publishes `markers` and `annotated_image`, with each action and when the node halts.

    Args:
        node: publishes them while it is active.
        loop: knows where the end effector is.
        inputs: know the newest image.
        to_rgb: turns an image into (H, W, 3) uint8 RGB.
        settings: say the frame.
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

    def ticked(self, tick: Tick, *, now_ns: int) -> None:
        """Show what a tick brought, if it brought anything."""
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
            self._publish_image(tick, self._inputs.image)

    def close(self) -> None:
        """Close the topics."""
        for publisher in (self._markers, self._images):
            self._node.destroy_lifecycle_publisher(publisher)

    def _publish_image(self, tick: Tick, message: Image | CompressedImage) -> None:
        try:
            picture = self._to_rgb(message)
        except ImageError:  # the loop has halted for it, and says so
            return
        lines = [self._loop.instruction, *caption(self._latest, tick.halt)]
        picture = annotated(picture, lines, good=tick.halt.reason is Reason.NONE)
        stamp_ns, frame_id = to_nanoseconds(message.header.stamp), message.header.frame_id
        self._images.publish(rgb_to_image(picture, stamp_ns=stamp_ns, frame_id=frame_id))
