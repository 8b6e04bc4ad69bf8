# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""One rule for the pictures of files and of messages."""

import io
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from pictures import picture, png
from PIL import Image

from spec_vla_ros.pixels import EncodingError, ImageError, compressed_to_rgb, doubt, file_to_rgb

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


@pytest.mark.parametrize(
    ('shape', 'words'),
    [
        ((720, 1280), ''),
        ((1080, 2520), ''),  # 21 : 9
        ((720, 2560), 'are of 2560 x 720 pixels: two side by side, as of a stereo camera'),
        ((1280, 400), 'are of 400 x 1280 pixels'),
    ],
)
def test_two_pictures_in_one_are_doubted(shape, words):
    rgb = np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)
    found = doubt(rgb)
    assert words in found if words else found == ''


def test_pictures_without_colour_are_doubted():
    grey = np.repeat(picture()[..., :1], 3, axis=2)
    for rgb in (grey, compressed_to_rgb(SimpleNamespace(format='jpg', data=jpeg(grey)))):
        assert 'have no colour, as of an infrared' in doubt(rgb)
    assert doubt(picture()) == ''


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
