# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""JPEGs that are whole are taken in silence, of whatever kind; those that lost data are not."""

import io
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from spec_vla_ros.jpeg import parts_of
from spec_vla_ros.pixels import ImageError, compressed_to_rgb

KINDS = {
    'plain': {},
    'full colours': {'subsampling': 0},
    '4:2:2': {'subsampling': 1},
    'optimised': {'optimize': True},
    'progressive': {'progressive': True},
    'restart rows': {'restart_marker_rows': 1},
    'restart blocks': {'restart_marker_blocks': 3},
    'commented': {'comment': b'\xff\xd9 is no end here'},
}


def scene(height=96, width=128):
    """A picture with something in every corner, as a camera's has: (H, W, 3)."""
    y, x = np.mgrid[0:height, 0:width]
    smooth = np.stack([255 * x / width, 255 * y / height, 128 + 0 * x], axis=-1)
    noise = np.random.default_rng(0).integers(-20, 21, (height, width, 3))
    return np.clip(smooth + noise, 0, 255).astype(np.uint8)


def jpeg(pixels, *, mode='RGB', **options):
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, 'JPEG', **{'quality': 90, **options})
    return file.getvalue()


def decoded(data):
    return compressed_to_rgb(SimpleNamespace(format='jpeg', data=data))


def seen_by_opencv(data):
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


@pytest.mark.parametrize('size', [(96, 128), (97, 131), (1, 1), (7, 300), (480, 640)])
@pytest.mark.parametrize('mode', ['RGB', 'L', 'CMYK'])
@pytest.mark.parametrize('kind', KINDS)
def test_whole_ones_are_taken_in_silence(kind, mode, size, capfd):
    for pixels in (scene(*size), np.zeros((*size, 3), np.uint8)):
        data = jpeg(pixels, mode=mode, **KINDS[kind])
        assert np.array_equal(decoded(data), seen_by_opencv(data))
    assert capfd.readouterr().err == ''


def without_segments(data, marker):
    """Leave out all segments of a kind."""
    kept, at = data[:2], 2
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], 'big')
        kept += data[at:end] if data[at + 1] != marker else b''
        at = end
    return kept + data[at:]


@pytest.mark.parametrize(
    'change',
    [
        lambda data: without_segments(data, 0xC4),  # MJPEG: every decoder knows its tables
        lambda data: data[:-2] + b'\xff' * 5 + data[-2:],
        lambda data: data[:-2] + b'\xff\xfe\0\x06more' + data[-2:],
        lambda data: data[:-2] + b'\xff\xd5' + data[-2:],
    ],
    ids=['without tables', 'filled up', 'comment at the end', 'restart at the end'],
)
def test_so_are_rarer_ones(change, capfd):
    data = jpeg(scene(), quality=80, restart_marker_rows=1)
    assert np.array_equal(decoded(change(data)), seen_by_opencv(data))
    assert capfd.readouterr().err == ''


@pytest.mark.parametrize('part', [0.02, 0.1, 0.6])
@pytest.mark.parametrize('kind', [kind for kind in KINDS if kind != 'progressive'])
def test_those_without_some_of_their_middle_are_refused(kind, part):
    for seed in range(10):
        data = jpeg(scene(480, 640), **KINDS[kind])
        scan = data.index(b'\xff\xda')
        lost = int(part * (len(data) - scan))
        begin = int(np.random.default_rng(seed).integers(scan + 20, len(data) - lost - 20))
        with pytest.raises(ImageError, match='the JPEG is truncated'):
            decoded(data[:begin] + data[begin + lost :])


def test_what_is_saturated_hides_nothing():
    """Where the colours are at their end, more data would not change the picture."""
    data = jpeg(np.full((480, 640, 3), 255, np.uint8))
    with pytest.raises(ImageError, match='the JPEG is truncated'):
        decoded(data[: len(data) - 1000] + b'\xff\xd9')


@pytest.mark.parametrize('mode', ['RGB', 'L'])
@pytest.mark.parametrize('interval', [{'restart_marker_rows': 1}, {'restart_marker_blocks': 40}])
def test_those_without_some_of_their_intervals_are_refused(interval, mode):
    """Decoders go on at the next marker that fits, and leave grey or moved rows behind."""
    data = jpeg(scene(480, 640), mode=mode, **interval)
    marks = [i for i in range(len(data)) if data[i] == 0xFF and 0xD0 <= data[i + 1] <= 0xD7]
    for count in (1, 2, 8, 16):
        with pytest.raises(ImageError, match='the JPEG is truncated'):
            decoded(data[: marks[5]] + data[marks[5 + count] :])
        middle = 30 * count  # within the intervals
        with pytest.raises(ImageError, match='the JPEG is truncated'):
            decoded(data[: marks[5] + middle] + data[marks[5 + count] + middle :])


def test_its_parts_are_found():
    data = jpeg(scene())
    parts = parts_of(data + b'rest')
    assert parts.end == len(data)
    assert parts.components == (3, 3)
    assert (parts.interval, parts.units) == (0, 6 * 8)
    assert data[parts.scan_end :] == b'\xff\xd9'
