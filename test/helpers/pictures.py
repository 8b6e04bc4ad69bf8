# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Small pictures, and files of them."""

import cv2
import numpy as np


def picture(height=32, width=48):
    """Smooth, and different at every corner."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([255 * x / width, 255 * y / height, 128 + 0 * x], axis=-1).astype(np.uint8)


def png(pixels):
    return cv2.imencode('.png', pixels)[1].tobytes()
