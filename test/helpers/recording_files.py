# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Small recordings for the tests, written as a recorder would."""

import cv2
import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

TYPES = get_typestore(Stores.ROS2_HUMBLE)
IMAGE, COMPRESSED, STRING = (
    'sensor_msgs/msg/Image',
    'sensor_msgs/msg/CompressedImage',
    'std_msgs/msg/String',
)
POSE = 'geometry_msgs/msg/PoseStamped'
PLUGINS = {'sqlite3': StoragePlugin.SQLITE3, 'mcap': StoragePlugin.MCAP}
PICTURES = np.random.default_rng(0).integers(0, 256, (8, 20, 16, 3), dtype=np.uint8)


def header():
    stamp = TYPES.types['builtin_interfaces/msg/Time'](sec=0, nanosec=0)
    return TYPES.types['std_msgs/msg/Header'](stamp=stamp, frame_id='camera')


def raw(pixels, *, encoding='rgb8', padding=0):
    rows = np.pad(pixels.reshape(pixels.shape[0], -1), ((0, 0), (0, padding)))
    return TYPES.types[IMAGE](
        header=header(),
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=rows.shape[1],
        data=rows.reshape(-1),
    )


def geometry(name, **fields):
    return TYPES.types[f'geometry_msgs/msg/{name}'](**fields)


def pose(x, angle, *, flip=1):
    """At x, turned about z; `flip` gives the same rotation with the other sign."""
    half = angle / 2
    return TYPES.types[POSE](
        header=header(),
        pose=geometry(
            'Pose',
            position=geometry('Point', x=x, y=0.0, z=0.1),
            orientation=geometry(
                'Quaternion', x=0.0, y=0.0, z=flip * np.sin(half), w=flip * np.cos(half)
            ),
        ),
    )


def png(rgb):
    data = cv2.imencode('.png', rgb[:, :, ::-1])[1].reshape(-1)
    return TYPES.types[COMPRESSED](header=header(), format='png', data=data)


def said(text):
    return TYPES.types[STRING](data=text)


def record(folder, messages, *, plugin='mcap', compression=CompressionMode.NONE):
    """Write (nanoseconds, topic, type, message) as a recording; returns its folder."""
    writer = Writer(folder, version=9, storage_plugin=PLUGINS[plugin])
    writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        connections = {}
        for stamp, topic, msgtype, message in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, msgtype, typestore=TYPES)
            data = TYPES.serialize_cdr(message, msgtype)
            writer.write(connections[topic], stamp, data)
    return folder
