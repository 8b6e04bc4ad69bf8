# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Whatever comes as a camera message: an RGB picture, or an ImageError that says why not."""

import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from fuzzing import attempt, damaged_bytes, fuzz
from hypothesis import given
from hypothesis import strategies as st

from spec_vla_ros.pixels import ImageError, compressed_to_rgb
from spec_vla_ros.raw_pixels import CHANNELS, raw_to_rgb

PICTURE = np.random.default_rng(1).integers(0, 256, (12, 17, 3), dtype=np.uint8)
JPEG, PNG = (cv2.imencode(suffix, PICTURE)[1].tobytes() for suffix in ('.jpg', '.png'))
SIZES = st.one_of(st.integers(0, 9), st.sampled_from([640, 2**16, 2**31, 2**32 - 1]))
ENCODINGS = st.one_of(
    st.sampled_from([*CHANNELS, '16UC1', '32FC1', 'bayer_rggb8', 'RGB8', 'yuv444']),
    st.text(max_size=8),
)


def is_picture(rgb):
    return rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.dtype == np.uint8 and rgb.flags.c_contiguous


@st.composite
def raw_messages(draw):
    height, width, encoding = draw(SIZES), draw(SIZES), draw(ENCODINGS)
    step = max(0, width * CHANNELS.get(encoding, 3) + draw(st.integers(-3, 3)))
    length = min(max(0, height * step + draw(st.integers(-4, 4))), 100_000)
    return SimpleNamespace(
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=draw(st.integers(0, 255)),
        step=step,
        data=bytes([draw(st.integers(0, 255))]) * length,
    )


@fuzz(400)
@given(message=raw_messages())
def test_raw_images(message):
    rgb, refusal = attempt(lambda: raw_to_rgb(message), ImageError)
    fits = (
        message.encoding in CHANNELS
        and message.height * message.width > 0
        and message.step >= message.width * CHANNELS[message.encoding]
        and (surplus := len(message.data) - message.height * message.step) >= 0
        and (surplus < message.step or not any(message.data))
    )
    assert fits is (refusal is None)
    if fits:
        assert is_picture(rgb)
        assert rgb.shape[:2] == (message.height, message.width)
        assert (rgb == message.data[0]).all()


@fuzz(400)
@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.sampled_from([JPEG, PNG]).flatmap(damaged_bytes),
    ),
    format_name=st.one_of(
        st.sampled_from(['jpeg', 'png', 'rgb8; jpeg compressed bgr8', '16UC1; compressedDepth']),
        st.text(max_size=8),
    ),
)
def test_compressed_images(data, format_name):
    message = SimpleNamespace(format=format_name, data=data)
    rgb, refusal = attempt(lambda: compressed_to_rgb(message), ImageError)
    assert refusal is not None or is_picture(rgb)


@pytest.mark.parametrize('side', [20_000, 60_000, 2**31 - 1])
def test_a_small_message_cannot_claim_a_huge_picture(side):
    """Its pixels would take all memory before anybody sees that they are not there."""
    header = bytearray(PNG)
    header[16:24] = side.to_bytes(4, 'big') * 2  # IHDR: width, height
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, 'big')
    with pytest.raises(ImageError, match='pixels'):
        compressed_to_rgb(SimpleNamespace(format='png', data=bytes(header)))


@pytest.mark.parametrize('suffix', ['.bmp', '.tiff', '.webp'])
def test_other_formats_are_not_decoded(suffix):
    data = cv2.imencode(suffix, PICTURE)[1].tobytes()
    with pytest.raises(ImageError, match='neither a whole JPEG nor a whole PNG'):
        compressed_to_rgb(SimpleNamespace(format='jpeg', data=data))
