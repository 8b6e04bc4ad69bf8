# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Pictures of other formats, and parts of videos, are told as what they are, and at once."""

import base64
import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from spec_vla_ros.pixels import EncodingError, ImageError, compressed_to_rgb, other_format

PICTURE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


def saved(kind):
    stream = io.BytesIO()
    Image.fromarray(PICTURE).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize(
    ('data', 'words'),
    [
        (saved('WEBP'), 'a WebP picture'),
        (saved('BMP'), 'a BMP picture'),
        (saved('GIF'), 'a GIF'),
        (saved('TIFF'), 'a TIFF picture'),
        (b'\0\0\0\x20ftypavif' + bytes(30), 'an AVIF or HEIC picture'),
        (b'\0\0\0\x0cjP  ' + bytes(30), 'a JPEG 2000'),
        (b'\0\0\0\1\x67\x42' + bytes(30), r'a part of a video \(H\.264 or H\.265\)'),
        (b'\0\0\1\x09' + bytes(30), 'a part of a video'),
        (base64.b64encode(saved('JPEG')), r'written as text \(base64\)'),
        (base64.b64encode(saved('PNG')), r'written as text \(base64\)'),
    ],
)
def test_they_are_told_as_what_the_next_one_will_be_too(data, words):
    with pytest.raises(
        EncodingError,
        match=rf'whole PNG, but .*{words}.*; convert the file, or have the publisher',
    ):
        compressed_to_rgb(SimpleNamespace(format='jpeg', data=data))


@pytest.mark.parametrize('data', [b'words', bytes(40), b'BM', b'\xff'])
def test_what_is_not_known_may_be_another_the_next_time(data):
    assert not other_format(data)
    with pytest.raises(ImageError, match='it begins as neither does') as refused:
        compressed_to_rgb(SimpleNamespace(format='jpeg', data=data))
    assert not isinstance(refused.value, EncodingError)
