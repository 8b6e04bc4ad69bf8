# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Camera messages to pixels: every encoding, padding, byte order, and what is refused."""

import array
import sys
import types

import cv2
import numpy as np
import pytest
from cv_bridge import CvBridge
from sensor_msgs.msg import CompressedImage, Image

from spec_vla_ros.ros.converters import (
    CHANNELS,
    ImageError,
    compressed_to_rgb,
    image_to_rgb,
    numpy_image_to_rgb,
    rgb_to_compressed,
    rgb_to_image,
    same_pixels,
    to_nanoseconds,
    to_time,
    working_cv_bridge,
)

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = RGB[:, :, :1]


def as_encoded(encoding, *, big_endian=False):
    """Return the picture's pixels (H, W, bytes) the way a camera would send them."""
    alpha = np.full((5, 7, 1), 17, np.uint8)
    low_byte = np.full((5, 7, 1), 99, np.uint8)
    sixteen = [GREY, low_byte] if big_endian else [low_byte, GREY]
    return {
        'rgb8': RGB,
        'bgr8': RGB[:, :, ::-1],
        'rgba8': np.concatenate([RGB, alpha], axis=2),
        'bgra8': np.concatenate([RGB[:, :, ::-1], alpha], axis=2),
        'mono8': GREY,
        'mono16': np.concatenate(sixteen, axis=2),
    }[encoding]


def message(encoding, *, padding=0, big_endian=False):
    pixels = as_encoded(encoding, big_endian=big_endian)
    rows = pixels.reshape(5, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=200)
    return Image(
        height=5,
        width=7,
        encoding=encoding,
        step=rows.shape[1],
        is_bigendian=int(big_endian),
        data=rows.tobytes(),
    )


@pytest.mark.parametrize('encoding', CHANNELS)
@pytest.mark.parametrize('padding', [0, 1, 11])
@pytest.mark.parametrize('big_endian', [False, True])
def test_every_encoding(encoding, padding, big_endian):
    expected = RGB if CHANNELS[encoding] >= 3 else np.repeat(GREY, 3, axis=2)
    rgb = image_to_rgb(message(encoding, padding=padding, big_endian=big_endian))
    np.testing.assert_array_equal(rgb, expected)
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous


@pytest.mark.parametrize('encoding', ['16UC1', '32FC1', 'bayer_rggb8', '8UC3', 'nv24', ''])
def test_other_encodings_are_refused_with_the_valid_ones(encoding):
    bad = message('mono16')
    bad.encoding = encoding
    with pytest.raises(ImageError, match='rgb8, bgr8, rgba8, bgra8, mono8, mono16'):
        image_to_rgb(bad)


def test_truncated_data():
    bad = message('rgb8')
    bad.data = bad.data[:-1]
    with pytest.raises(ImageError, match='truncated: 104 bytes instead of 5 x 21'):
        image_to_rgb(bad)


def test_a_step_below_a_row():
    bad = message('rgb8')
    bad.step = 20
    with pytest.raises(ImageError, match='step 20 is less than a row of 21'):
        image_to_rgb(bad)


@pytest.mark.parametrize('size', [{'height': 0}, {'width': 0}])
def test_an_empty_image(size):
    bad = message('rgb8')
    for name, value in size.items():
        setattr(bad, name, value)
    with pytest.raises(ImageError, match='empty'):
        image_to_rgb(bad)


def test_surplus_data_is_ignored():
    longer = message('rgb8')
    longer.data = bytes(longer.data) + b'surplus'
    np.testing.assert_array_equal(image_to_rgb(longer), RGB)


def test_there_and_back():
    there = rgb_to_image(RGB, stamp_ns=12_345_678_901, frame_id='camera')
    assert to_nanoseconds(there.header.stamp) == 12_345_678_901
    assert there.header.frame_id == 'camera'
    np.testing.assert_array_equal(image_to_rgb(there), RGB)


def test_stamps():
    assert to_nanoseconds(to_time(1_999_999_999)) == 1_999_999_999


def test_compressed_png_is_exact():
    _, png = cv2.imencode('.png', RGB[:, :, ::-1])
    got = compressed_to_rgb(CompressedImage(format='png', data=png.tobytes()))
    np.testing.assert_array_equal(got, RGB)


def test_compressed_jpeg_keeps_the_colours():
    smooth = np.zeros((32, 32, 3), np.uint8)
    smooth[:] = (200, 100, 30)
    got = compressed_to_rgb(rgb_to_compressed(smooth, stamp_ns=0, frame_id=''))
    assert np.abs(got.astype(int) - smooth).max() <= 4


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (lambda data: b'', 'is empty'),
        (lambda data: data[: len(data) // 2], 'truncated'),
        (lambda data: b'not a picture at all', 'neither a whole JPEG nor a whole PNG'),
    ],
)
def test_broken_compressed_images(change, reason):
    jpeg = rgb_to_compressed(np.zeros((32, 32, 3), np.uint8), stamp_ns=0, frame_id='')
    jpeg.data = change(bytes(jpeg.data))
    with pytest.raises(ImageError, match=reason):
        compressed_to_rgb(jpeg)


def test_compressed_depth_is_refused():
    with pytest.raises(ImageError, match='depth'):
        compressed_to_rgb(CompressedImage(format='16UC1; compressedDepth png', data=b'x'))


def bridge_module(convert):
    """Return a stand-in for the cv_bridge package whose conversion is this one."""
    module = types.ModuleType('cv_bridge')
    module.CvBridge = type('CvBridge', (), {'imgmsg_to_cv2': staticmethod(convert)})
    return module


@pytest.fixture
def with_bridge(monkeypatch):
    def install(convert):
        monkeypatch.setitem(sys.modules, 'cv_bridge', bridge_module(convert))
        working_cv_bridge.cache_clear()

    yield install
    working_cv_bridge.cache_clear()


def test_a_working_cv_bridge_is_used_and_gives_the_same_pixels(with_bridge):
    calls = []

    def convert(raw, encoding):
        calls.append(encoding)
        return numpy_image_to_rgb(raw)

    with_bridge(convert)
    np.testing.assert_array_equal(image_to_rgb(message('bgr8', padding=3)), RGB)
    assert calls == ['rgb8', 'rgb8']  # the trial and the image


def test_a_cv_bridge_that_ignores_padding_is_not_used(with_bridge):
    def careless(raw, encoding):
        size = raw.height * raw.width * 3
        flat = np.frombuffer(raw.data, np.uint8)[:size]
        return flat.reshape(raw.height, raw.width, 3)[:, :, ::-1]

    with_bridge(careless)
    assert working_cv_bridge() is None
    np.testing.assert_array_equal(image_to_rgb(message('bgr8', padding=3)), RGB)


def test_a_cv_bridge_that_breaks_is_not_used(with_bridge):
    def crash(raw, encoding):
        raise AttributeError('_ARRAY_API not found')

    with_bridge(crash)
    assert working_cv_bridge() is None


@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', 'mono8'])
def test_a_real_cv_bridge_gives_the_same_pixels(encoding):
    raw = message(encoding)
    real = CvBridge().imgmsg_to_cv2(raw, 'rgb8')
    np.testing.assert_array_equal(real, numpy_image_to_rgb(raw))


def test_the_cv_bridge_of_the_package_index_is_not_trusted_with_padding():
    working_cv_bridge.cache_clear()
    assert working_cv_bridge() is None


NOISE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)


def jpeg(rgb=NOISE, *, comment=b'', behind=b''):
    message = rgb_to_compressed(rgb, stamp_ns=0, frame_id='camera')
    data = bytes(message.data)
    segment = b'\xff\xfe' + (len(comment) + 2).to_bytes(2, 'big') + comment
    message.data = array.array('B', data[:2] + segment + data[2:] + behind)
    return message


def padded(rgb=NOISE, padding=b'', *, encoding='rgb8'):
    message = rgb_to_image(rgb, stamp_ns=0, frame_id='camera')
    message.encoding, message.step = encoding, message.step + len(padding)
    message.data = array.array('B', b''.join(row.tobytes() + padding for row in rgb))
    return message


@pytest.mark.parametrize(
    ('before', 'now'),
    [
        (jpeg(), jpeg()),
        (jpeg(comment=b'12:00:01.125'), jpeg(comment=b'12:00:01.25')),
        (jpeg(comment=b'12:00:01.125'), jpeg(comment=b'12:00:01.158')),
        (jpeg(), jpeg(behind=b'\x00\x01\xff')),
        (padded(padding=b'ab'), padded(padding=b'cd')),
        (padded(), padded(padding=b'cd')),
    ],
)
def test_what_a_frozen_camera_changes_and_nobody_sees_is_no_other_picture(before, now):
    assert same_pixels(before, now)
    to_rgb = compressed_to_rgb if isinstance(now, CompressedImage) else image_to_rgb
    np.testing.assert_array_equal(to_rgb(before), to_rgb(now))


def last_pixel_changed():
    other = NOISE.copy()
    other[-1, -1] ^= 128
    return other


def other_tables():
    other = jpeg()
    other.data[bytes(other.data).index(b'\xff\xdb') + 10] += 1
    return other


def cut_off(length):
    cut = jpeg()
    cut.data = cut.data[:length]
    return cut


@pytest.mark.parametrize(
    ('before', 'now'),
    [
        (jpeg(), jpeg(last_pixel_changed())),
        (jpeg(), jpeg(NOISE[::-1])),
        (jpeg(), other_tables()),
        (jpeg(comment=b'x'), cut_off(-40)),
        (jpeg(comment=b'x'), cut_off(10)),
        (padded(padding=b'ab'), padded(last_pixel_changed(), padding=b'ab')),
        (padded(), padded(padding=b'a', encoding='bgr8')),
        (padded(), padded(NOISE[:-1])),
    ],
)
def test_another_picture_differs(before, now):
    assert not same_pixels(before, now)
