# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""One rule for the pictures of files and messages, and the encodings of USB and CSI cameras."""

import io
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from spec_vla_ros.pixels import (
    YUV,
    EncodingError,
    ImageError,
    compressed_to_rgb,
    file_to_rgb,
    raw_to_rgb,
)

ORIENTATION = 0x0112  # the EXIF tag
AS_STORED = {  # orientation -> how an upright picture is stored
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, 1),
    7: lambda p: np.rot90(p, 2).transpose(1, 0, 2),
    8: lambda p: np.rot90(p, -1),
}


def picture(height=32, width=48):
    """Smooth, and different at every corner."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([255 * x / width, 255 * y / height, 128 + 0 * x], axis=-1).astype(np.uint8)


def jpeg(pixels, **options):
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, 'JPEG', quality=95, **options)
    return file.getvalue()


def decoded(data):
    return compressed_to_rgb(SimpleNamespace(format='jpeg', data=data))


@pytest.mark.parametrize('orientation', AS_STORED)
def test_a_photo_is_seen_as_its_exif_says(orientation, tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = jpeg(AS_STORED[orientation](picture()), exif=exif)
    (tmp_path / 'photo.jpg').write_bytes(data)
    for rgb in (decoded(data), file_to_rgb(tmp_path / 'photo.jpg')):
        assert rgb.shape == picture().shape
        assert np.abs(rgb.astype(int) - picture()).max() < 12


@pytest.mark.parametrize('progressive', [False, True])
@pytest.mark.parametrize('rest', [b'', b'\0', b'\0' * 5000, b'\0' * 100 + b'leftovers'])
def test_what_follows_the_end_marker_is_not_read(rest, progressive):
    data = jpeg(picture(), progressive=progressive)
    assert np.array_equal(decoded(data + rest), decoded(data))


@pytest.mark.parametrize('padding', [0, 100, 5000])
@pytest.mark.parametrize('progressive', [False, True])
def test_a_jpeg_that_is_cut_off_is_refused_though_its_thumbnail_ends(padding, progressive):
    thumbnail = b'Exif\0\0' + jpeg(picture(8, 8))
    data = jpeg(picture(), exif=thumbnail, progressive=progressive)
    assert data.count(b'\xff\xd9') == 2
    assert np.abs(decoded(data).astype(int) - picture()).max() < 12
    for end in (len(data) - 2, len(data) - 1, len(data) // 2, len(thumbnail) + 40):
        with pytest.raises(ImageError, match='the JPEG is truncated: it has no end marker'):
            decoded(data[:end] + b'\0' * padding)


def busy(height=96, width=128):
    """With something in every corner, as a camera's picture has."""
    noise = np.random.default_rng(0).integers(-20, 21, (height, width, 3))
    return np.clip(picture(height, width) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize('part', [0.05, 0.3, 0.5, 0.9, 0.99])
@pytest.mark.parametrize(
    'how', [{}, {'progressive': True}, {'restart_marker_blocks': 4}, {'subsampling': 0}]
)
def test_a_jpeg_that_is_cut_off_is_refused_though_an_end_marker_was_put_behind(how, part):
    data = jpeg(busy(), **how)
    begin = data.index(b'\xff\xda')  # of the pixels
    end = begin + 16 + int(part * (len(data) - begin - 16))
    cut = data[:end].rstrip(b'\xff')
    with pytest.raises(ImageError, match='the JPEG is truncated: it'):
        decoded(cut + b'\xff\xd9')


def test_a_jpeg_without_some_of_its_middle_is_refused():
    data = jpeg(busy())
    middle = len(data) // 2
    with pytest.raises(ImageError, match='the JPEG is truncated'):
        decoded(data[:middle] + data[middle + 500 :])


@pytest.mark.parametrize('more', [b'\0', b'\0' * 30, b'leftovers'])
def test_what_stands_between_picture_and_end_marker_is_not_read(more):
    data = jpeg(busy())
    assert np.array_equal(decoded(data[:-2] + more + data[-2:]), decoded(data))


def test_a_jpeg_that_the_next_one_has_overwritten_is_refused():
    data = jpeg(picture())
    with pytest.raises(ImageError, match='the JPEG is truncated'):
        decoded(data[:-40] + data)


def png(pixels):
    return cv2.imencode('.png', pixels)[1].tobytes()


@pytest.mark.parametrize(
    'text',
    [
        '16UC1; compressedDepth png',
        '16UC1; png compressed ',
        '32FC1; png compressed ',
        'bayer_rggb8; jpeg compressed ',
        'png',
    ],
)
def test_depth_and_mosaics_are_refused_however_they_are_compressed(text):
    deep = picture()[..., 0].astype(np.uint16) * 200
    data = jpeg(picture()) if 'jpeg' in text else png(deep)
    with pytest.raises(ImageError, match='a colour image is needed'):
        compressed_to_rgb(SimpleNamespace(format=text, data=data))


@pytest.mark.parametrize(
    'text',
    [
        'bayer_rggb8; jpeg compressed bgr8',
        'rgb8; jpeg compressed bgr8',
        '8UC3; jpeg compressed ',
        'jpg',
        'mono16; png',
    ],
)
def test_pictures_are_read_whatever_they_were_made_of(text):
    deep = picture()[..., 0].astype(np.uint16) * 256
    data = png(deep) if 'mono16' in text else jpeg(picture())
    rgb = compressed_to_rgb(SimpleNamespace(format=text, data=data))
    assert np.abs(rgb[..., 0].astype(int) - picture()[..., 0]).max() < 12


@pytest.mark.parametrize('name', ['no.jpg', 'text.png', 'other.bmp'])
def test_a_file_that_is_neither_jpeg_nor_png_is_refused(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(cv2.imencode('.bmp', picture())[1].tobytes() if 'bmp' in name else b'words')
    with pytest.raises(ImageError, match='neither a whole JPEG nor a whole PNG') as refusal:
        file_to_rgb(path)
    assert str(refusal.value).startswith(f'{path}: ')


def test_a_file_of_depths_is_refused_as_such_by_name(tmp_path):
    (tmp_path / 'deep.png').write_bytes(png(picture()[..., 0].astype(np.uint16) * 200))
    with pytest.raises(EncodingError, match=r'deep.png: .* as depth images have'):
        file_to_rgb(tmp_path / 'deep.png')


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
