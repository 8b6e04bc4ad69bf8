# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A node that acts as a camera: images of noise, 640x480 at 30 Hz, stamped when they are sent."""

from __future__ import annotations

import itertools

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import Image

from spec_vla_ros.ros import qos
from spec_vla_ros.ros.converters import rgb_to_image
from spec_vla_ros.ros.startup.spin import spin_node

SHAPE = (480, 640, 3)
RATE = 30.0  # Hz


class NoiseCamera(Node):
    """Publishes the topic `image`; its pixels are made before, so that sending takes no time."""

    def __init__(self) -> None:
        super().__init__('noise_camera')
        random = np.random.default_rng(0)
        self._images = itertools.cycle(
            rgb_to_image(random.integers(0, 256, SHAPE, np.uint8), stamp_ns=0, frame_id='camera')
            for _ in range(4)
        )
        self._publisher = self.create_publisher(Image, 'image', qos.CAMERA)
        self.create_timer(1.0 / RATE, self._on_timer)

    def _on_timer(self) -> None:
        image = next(self._images)
        image.header.stamp = self.get_clock().now().to_msg()
        self._publisher.publish(image)


if __name__ == '__main__':
    spin_node(NoiseCamera)
