# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Raw images of cameras keep their colours, and what says one thing and is another is refused."""

from types import SimpleNamespace

import numpy as np
import pytest
from pictures import picture, png

from spec_vla_ros.pixels import EncodingError, ImageError, compressed_to_rgb
from spec_vla_ros.raw_pixels import YUV, raw_to_rgb


def yuv_of(rgb):
    """BT.601 with Y in 16 .. 235: (H, W) each, colours of the left upper of four pixels."""
    r, g, b = (rgb[..., i].astype(float) for i in range(3))
    y = 16 + 0.257 * r + 0.504 * g + 0.098 * b
    u = 128 - 0.148 * r - 0.291 * g + 0.439 * b
    v = 128 + 0.439 * r - 0.368 * g - 0.071 * b
    return (np.round(plane).astype(np.uint8) for plane in (y, u, v))


def bytes_of(encoding, rgb, pad):
    """An image as a camera sends it, each row padded."""
    y, u, v = yuv_of(rgb)
    height, width = y.shape
    if encoding.startswith('nv'):
        colours = np.empty((height // 2, width), np.uint8)
        first, second = (u, v) if encoding == 'nv12' else (v, u)
        colours[:, 0::2], colours[:, 1::2] = first[::2, ::2], second[::2, ::2]
        rows = np.concatenate([y, colours])
    else:
        rows = np.empty((height, 2 * width), np.uint8)
        light = 0 if encoding in ('yuyv', 'yuv422_yuy2') else 1
        rows[:, light::2] = y
        rows[:, 1 - light :: 4], rows[:, 3 - light :: 4] = u[:, ::2], v[:, ::2]
    padded = np.pad(rows, ((0, 0), (0, pad)), constant_values=77)
    return padded.shape[1], padded.tobytes()


def raw(encoding, rgb, *, pad=0, **changes):
    step, data = bytes_of(encoding, rgb, pad)
    height, width, _ = rgb.shape
    fields = {'height': height, 'width': width, 'encoding': encoding, 'is_bigendian': 0}
    return SimpleNamespace(**{**fields, 'step': step, 'data': data, **changes})


@pytest.mark.parametrize('pad', [0, 6])
@pytest.mark.parametrize('encoding', YUV)
def test_pictures_of_usb_and_csi_cameras_keep_their_colours(encoding, pad):
    blocks = np.repeat(np.repeat(picture(8, 12), 2, axis=0), 2, axis=1)
    got = raw_to_rgb(raw(encoding, blocks, pad=pad))
    assert got.flags.c_contiguous
    assert got.dtype == np.uint8
    assert got.shape == blocks.shape
    assert np.abs(got.astype(int) - blocks).max() <= 3


@pytest.mark.parametrize('encoding', YUV)
@pytest.mark.parametrize(
    ('changes', 'words'),
    [({'width': 5}, 'odd'), ({'step': 3}, 'step 3 is less'), ({'data': b'xy'}, 'truncated')],
)
def test_others_of_them_are_refused_with_the_reason(encoding, changes, words):
    with pytest.raises(ImageError, match=words):
        raw_to_rgb(raw(encoding, picture(4, 6), **changes))


@pytest.mark.parametrize('encoding', ['nv12', 'nv21'])
def test_planes_need_an_even_height(encoding):
    with pytest.raises(ImageError, match='odd'):
        raw_to_rgb(raw(encoding, picture(4, 6), height=3))


@pytest.mark.parametrize(
    ('encoding', 'words'),
    [
        ('bayer_rggb8', 'image_proc'),
        ('16UC1', 'the topic of the colour image'),
        ('32FC1', 'the topic of the colour image'),
        ('8UC3', "cv2_to_imgmsg\\(image, 'bgr8'\\)"),
        ('RGB8', "but 'rgb8' is"),
        ('h264', 'publish one of rgb8'),
    ],
)
def test_an_encoding_that_is_not_read_is_refused_with_what_would_be(encoding, words):
    image = SimpleNamespace(
        height=2, width=2, encoding=encoding, step=12, data=b'', is_bigendian=0
    )
    with pytest.raises(EncodingError, match=words):
        raw_to_rgb(image)


def rgb8(data, *, height):
    return SimpleNamespace(
        height=height, width=8, encoding='rgb8', step=24, data=data, is_bigendian=0
    )


def test_data_of_another_picture_are_refused():
    data = picture(6, 8).tobytes()
    with pytest.raises(ImageError, match=r'144 bytes instead of 3 x 24, .* height, step or enc'):
        raw_to_rgb(rgb8(data, height=3))


def test_zeros_behind_a_picture_are_a_buffer_that_is_larger():
    data = picture(6, 8).tobytes()
    assert np.array_equal(raw_to_rgb(rgb8(data + b'\0' * 100, height=6)), picture(6, 8))


def packed(pixels, encoding, *, step=None):
    """Pixels (H, W, bytes) as a message of an encoding, true or not, rows `step` bytes long."""
    rows = pixels.reshape(len(pixels), -1)
    rows = np.pad(rows, ((0, 0), (0, (step or rows.shape[1]) - rows.shape[1])))
    return SimpleNamespace(
        height=rows.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=rows.shape[1],
        data=rows.tobytes(),
    )


@pytest.mark.parametrize(
    ('encoding', 'channels', 'likely'),
    [
        ('bgr8', 4, 'probably bgra8'),
        ('rgb8', 4, 'probably rgba8'),
        ('mono8', 2, 'probably mono16, yuyv or uyvy'),
        ('mono8', 3, 'probably rgb8 or bgr8'),
        ('mono16', 3, 'probably rgb8 or bgr8'),
        ('yuv422', 3, 'probably rgb8 or bgr8'),
        ('yuyv', 4, 'probably rgba8 or bgra8'),
        ('rgb8', 6, 'encoding or width is wrong'),
    ],
)
@pytest.mark.parametrize('width', [48, 64, 128, 640])
def test_a_step_of_another_encoding_is_refused_with_the_likely_one(
    encoding, channels, likely, width
):
    pixels = np.dstack([picture(32, width), picture(32, width)])[..., :channels]
    words = f'step {channels * width} is {channels} bytes for each of {width} pixels, {encoding} '
    with pytest.raises(ImageError, match=f'{words}.*{likely}'):
        raw_to_rgb(packed(pixels, encoding))


@pytest.mark.parametrize('width', [1, 2, 16, 20, 32, 48, 64, 86, 96, 128])
@pytest.mark.parametrize('encoding', ['rgb8', 'mono8'])
def test_rows_may_be_padded_to_any_length(width, encoding):
    pixels = picture(32, width)[..., : 3 if encoding == 'rgb8' else 1]
    row = pixels.shape[1] * pixels.shape[2]
    steps = {-(-row // unit) * unit for unit in (4, 8, 16, 32, 64, 128, 256)}
    steps |= {many * width for many in range(pixels.shape[2], 9)}
    for step in steps:
        got = raw_to_rgb(packed(pixels, encoding, step=step))
        assert np.array_equal(got, np.broadcast_to(pixels, got.shape))


@pytest.mark.parametrize('encoding', ['rgb8', 'mono8'])
def test_rows_may_be_padded_with_their_last_pixel(encoding):
    """As video coders do, whose rows end at multiples of 16 or 32 pixels."""
    pixels = picture(32, 48)[..., : 3 if encoding == 'rgb8' else 1]
    wide = packed(np.pad(pixels, ((0, 0), (0, 48), (0, 0)), mode='edge'), encoding)
    got = raw_to_rgb(SimpleNamespace(**{**vars(wide), 'width': 48}))
    assert np.array_equal(got, np.broadcast_to(pixels, got.shape))


TOO_DARK = r'the brightest pixel takes \d+ of 255 parts: .* of 10 or 12 bits'


@pytest.mark.parametrize('bits', [10, 12])
@pytest.mark.parametrize('colours', [1, 3])
def test_ten_and_twelve_bits_in_sixteen_are_refused(bits, colours):
    deep = picture()[..., :colours].astype(np.uint16) << (bits - 8)
    with pytest.raises(ImageError, match=TOO_DARK):
        compressed_to_rgb(SimpleNamespace(format='mono16; png compressed', data=png(deep)))
    if colours == 1:
        pixels = np.ascontiguousarray(deep).view(np.uint8)
        with pytest.raises(ImageError, match=TOO_DARK):
            raw_to_rgb(packed(pixels.reshape(32, 48, 2), 'mono16'))
        swapped = packed(pixels.reshape(32, 48, 2)[..., ::-1].copy(), 'mono16')
        swapped.is_bigendian = 1
        with pytest.raises(ImageError, match=TOO_DARK):
            raw_to_rgb(swapped)


@pytest.mark.parametrize('colours', [1, 3])
def test_sixteen_bits_are_read_where_a_sixteenth_is_used(colours):
    deep = picture()[..., :colours].astype(np.uint16) * 20
    rgb = compressed_to_rgb(SimpleNamespace(format='mono16; png compressed', data=png(deep)))
    assert rgb.max() in range(17, 21)
    black = png(np.zeros_like(deep))  # which is refused as of one colour, where a scene is due
    assert not compressed_to_rgb(SimpleNamespace(format='mono16; png', data=black)).any()


def test_a_step_of_the_whole_picture_is_told():
    """As of a publisher that takes the length of the data for the step."""
    data = bytes(range(96)) * 2
    message = SimpleNamespace(
        height=4, width=16, encoding='rgb8', is_bigendian=0, step=len(data), data=data
    )
    with pytest.raises(ImageError, match=r'step 192 is as many bytes as .* one row, 48'):
        raw_to_rgb(message)
