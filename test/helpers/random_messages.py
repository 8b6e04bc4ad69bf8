# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Messages of any type with random content, and bytes that are hardly a message."""

import array
import re
from importlib import import_module

import numpy as np
from rclpy.serialization import serialize_message

_BITS = re.compile(r'u?int(\d+)')
_TEXTS = (
    '',
    'pick up the red block',
    'x' * 100_000,
    'a\x00b',
    '\x1b[2J\n',
    'é\u2028\u202e',
    'base_link',
    'rgb8',
    'jpeg',
)


def random_message(rng, kind):
    """Return a message of a class whose every field is random, often at its bounds."""
    fields = kind.get_fields_and_field_types()
    return kind(**{name: _random_value(rng, text) for name, text in fields.items()})


def plausible_image(rng, kind):
    """Return an image message that is nearly right: encodings that exist, sizes that may fit."""
    message = random_message(rng, kind)
    if hasattr(message, 'encoding'):
        encodings = ['rgb8', 'bgr8', 'mono8', 'mono16', 'rgba8', '32FC1', '16UC1', 'bayer_rggb8']
        message.encoding = str(rng.choice(encodings))
        message.height, message.width = (int(n) for n in rng.integers(0, 40, 2))
        message.step = max(0, message.width * 3 + int(rng.integers(-2, 3)))
        length = max(0, message.height * message.step + int(rng.integers(-5, 6)))
        message.data = array.array('B', rng.bytes(length))
    return message


def damaged_bytes(rng, message):
    """Return a serialised message cut off, or with some of its bytes overwritten."""
    data = bytearray(serialize_message(message))
    if rng.random() < 0.5:
        return bytes(data[: int(rng.integers(4, len(data) + 1))])
    for _ in range(int(rng.integers(1, 6))):
        data[int(rng.integers(4, len(data)))] = int(rng.integers(0, 256))
    return bytes(data)


def message_class(type_name):
    """'std_msgs/msg/String' -> its class."""
    package, folder, name = type_name.split('/')
    return getattr(import_module(f'{package}.{folder}'), name)


def _random_value(rng, text):
    if text.startswith('sequence<'):
        inner = text.removeprefix('sequence<').removesuffix('>').split(',')[0]
        count = int(rng.integers(0, 5))
        return _many(rng, inner, count)
    if text.endswith(']'):
        inner, _, count = text.removesuffix(']').partition('[')
        return _many(rng, inner, int(count))
    if text == 'boolean':
        return bool(rng.integers(0, 2))
    if text.startswith('string'):
        return str(rng.choice(_TEXTS))
    if text in ('float', 'double'):
        values = [0.0, -1.0, 1e30, float('nan'), float('inf'), -float('inf'), rng.normal()]
        return float(rng.choice(values))
    if text in ('octet', 'byte', 'char'):
        return bytes([int(rng.integers(0, 256))]) if text == 'octet' else int(rng.integers(0, 256))
    bits = _BITS.fullmatch(text)
    if bits:
        size = int(bits[1])
        low, high = (0, 2**size - 1) if text.startswith('u') else (-(2 ** (size - 1)), 0)
        high = high or 2 ** (size - 1) - 1
        small = int(rng.integers(0, 50))
        return int([low, high, small][int(rng.integers(0, 3))])
    package, name = text.split('/')
    return random_message(rng, message_class(f'{package}/msg/{name}'))


def _many(rng, inner, count):
    if inner in ('double', 'float'):
        return np.array([_random_value(rng, inner) for _ in range(count)]).tolist()
    return [_random_value(rng, inner) for _ in range(count)]
