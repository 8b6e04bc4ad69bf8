# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Makes test/data/published_pictures.npz: pictures as in OpenVLA's published evaluation.

    python scripts/published_pictures.py pictures     # in the project's environment
    python scripts/published_pictures.py published    # needs TensorFlow and numpy only

The second step makes the same calls as OpenVLA's evaluation in LIBERO and on the WidowX
(github.com/openvla/openvla, experiments/robot, commit c8f03f4), and stores an array for each
stage: encoded and decoded as JPEG; resized to 224 pixels (Lanczos, antialiased); cropped to the
middle 0.9 of the area and resized to 224 again. The file was made with TensorFlow 2.21.0 (CPU) on
2026-11-26.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

FILE = Path(__file__).resolve().parents[1] / 'test' / 'data' / 'published_pictures.npz'
SIDE, AREA = 224, 0.9


def main() -> None:
    """Do one of the two steps."""
    if sys.argv[1:] == ['pictures']:
        np.savez_compressed(FILE, **{f'{n}_picture': p for n, p in pictures().items()})
    elif sys.argv[1:] == ['published']:
        known = {n: a for n, a in np.load(FILE).items() if n.endswith('_picture')}
        made: dict[str, np.ndarray] = {}
        for name, picture in known.items():
            stages = published(picture)
            made |= {name.replace('picture', stage): array for stage, array in stages.items()}
        np.savez_compressed(FILE, **known, **made)
    else:
        sys.exit(__doc__)


def pictures() -> dict[str, np.ndarray]:
    """Return name -> picture (H, W, 3) uint8: the tabletop, hard edges, and a wide format."""
    from spec_vla_ros.sim.env import TabletopEnv

    env = TabletopEnv(image_size=256)
    env.reset(seed=1)
    table = env.render().copy()
    env.close()
    return {'table': table, 'edges': edges(256, 256), 'wide': edges(120, 160)}


def edges(height: int, width: int) -> np.ndarray:
    """Return a picture with ramps, stripes, discs at full black and white, and some noise."""
    y, x = np.mgrid[:height, :width] / height
    planes = [
        255 * y,
        127.5 + 127.5 * np.sign(np.sin(150 * x * (0.2 + y))),
        255.0 * (np.hypot(x - 0.6, y - 0.4) < 0.3),
    ]
    picture = np.stack(planes, axis=-1)
    noise = np.random.default_rng(0).integers(0, 256, (height // 4, width // 4, 3))
    picture[-(height // 4) :, : width // 4] = noise
    return picture.astype(np.uint8)


def published(picture: np.ndarray) -> dict[str, np.ndarray]:
    """Return name of a stage of the published evaluation -> picture (H, W, 3) uint8."""
    import tensorflow as tf

    jpeg = tf.io.decode_image(
        tf.image.encode_jpeg(picture), expand_animations=False, dtype=tf.uint8
    )
    resized = tf.image.resize(jpeg, (SIDE, SIDE), method='lanczos3', antialias=True)
    resized = tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)

    part = tf.clip_by_value(tf.sqrt(AREA), 0, 1)
    start = (1 - part) / 2
    box = tf.stack([start, start, start + part, start + part])[None]
    floats = tf.image.convert_image_dtype(resized, tf.float32)[None]
    cropped = tf.image.crop_and_resize(floats, box, tf.range(1), (SIDE, SIDE))[0]
    cropped = tf.image.convert_image_dtype(
        tf.clip_by_value(cropped, 0, 1), tf.uint8, saturate=True
    )
    arrays = {'jpeg': jpeg, 'resized': resized, 'cropped': cropped}
    return {stage: array.numpy() for stage, array in arrays.items()}


if __name__ == '__main__':
    main()
