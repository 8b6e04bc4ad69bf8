# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A node between camera and policy that spoils images on request.

So the nodes under test need no code for tests. The policy's topic `image` is remapped to this
node's topic `image_relayed`.
"""

from __future__ import annotations

from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import String

from spec_vla_ros.ros import qos
from spec_vla_ros.ros.converters import to_nanoseconds, to_time
from spec_vla_ros.ros.startup.spin import spin_node

PASS, SILENT, FROZEN, DEPTH, TRUNCATED, LATE = (
    'pass',
    'silent',
    'frozen',
    'depth',
    'truncated',
    'late',
)
MODES = (PASS, SILENT, FROZEN, DEPTH, TRUNCATED, LATE)
LATENESS_NS = 3_000_000_000


class CameraRelay(Node):
    """Relays images in one of `MODES`, which the topic `relay_mode` sets."""

    def __init__(self) -> None:
        super().__init__('camera_relay')
        self._mode = PASS
        self._kept: Image | None = None
        self._publisher = self.create_publisher(Image, 'image_relayed', qos.CAMERA)
        self.create_subscription(Image, 'image', self._on_image, qos.CAMERA)
        self.create_subscription(String, 'relay_mode', self._on_mode, qos.LATCHED)

    def _on_mode(self, message: String) -> None:
        if message.data not in MODES:
            self.get_logger().error(f'{message.data!r} is none of {", ".join(MODES)}')
            return
        self._mode = message.data

    def _on_image(self, message: Image) -> None:
        if self._mode == SILENT:
            return
        if self._mode == FROZEN and self._kept is not None:
            message.data = self._kept.data
        elif self._mode == DEPTH:
            message.encoding = '32FC1'
        elif self._mode == TRUNCATED:
            message.data = message.data[: len(message.data) // 2]
        elif self._mode == LATE:
            late = to_nanoseconds(message.header.stamp) - LATENESS_NS
            message.header.stamp = to_time(late)
        else:
            self._kept = message
        self._publisher.publish(message)


def main() -> None:
    """Run the relay until it is interrupted or terminated."""
    spin_node(CameraRelay)


if __name__ == '__main__':
    main()
