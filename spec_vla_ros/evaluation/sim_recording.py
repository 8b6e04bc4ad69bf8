# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Records episodes of the simulated robot as `ros2 bag record` would, without ROS.

Each episode becomes an MCAP recording of the camera's images, the instruction, the end effector's
poses and the gripper's commands.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from spec_vla_ros.evaluation.closed_loop import drive, interval_ns
from spec_vla_ros.recordings.instructions import INSTRUCTION_TOPIC
from spec_vla_ros.recordings.prompts import IMAGE_TOPIC
from spec_vla_ros.sim.environment import Environment
from spec_vla_ros.types import NANOSECONDS, Decoding, Observation, Policy

POSE_TOPIC, GRIPPER_TOPIC = '/end_effector_pose', '/gripper_command'

_TYPES = get_typestore(Stores.ROS2_HUMBLE)
_IMAGE, _STRING = 'sensor_msgs/msg/Image', 'std_msgs/msg/String'
_POSE, _NUMBER = 'geometry_msgs/msg/PoseStamped', 'std_msgs/msg/Float64'
_POSE_PARTS = ('Pose', 'Point', 'Quaternion')
_START_NS = NANOSECONDS  # a stamp of 0 would mean that the camera gives none


@dataclass(frozen=True, slots=True)
class RecordedEpisode:
    """One recorded episode; images: how many."""

    folder: Path
    instruction: str
    images: int
    success: bool


def record_episode(
    env: Environment, policy: Policy, *, seed: int, folder: Path
) -> RecordedEpisode:
    """Let a policy drive one episode, decoding autoregressively, and record it.

    Args:
        env: the simulator.
        policy: drives the arm.
        seed: lays the scene out and chooses the instruction.
        folder: the recording's, which must not exist.

    Raises:
        ValueError: the folder exists.
    """
    if folder.exists():
        raise ValueError(f'{folder} exists: remove it, or give another folder')
    folder.parent.mkdir(parents=True, exist_ok=True)
    images = 0
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        pictures = writer.add_connection(IMAGE_TOPIC, _IMAGE, typestore=_TYPES)
        poses = writer.add_connection(POSE_TOPIC, _POSE, typestore=_TYPES)
        grippers = writer.add_connection(GRIPPER_TOPIC, _NUMBER, typestore=_TYPES)
        words = writer.add_connection(INSTRUCTION_TOPIC, _STRING, typestore=_TYPES)
        instruction = env.reset(seed=seed)
        said = _TYPES.types[_STRING](data=instruction)
        writer.write(words, _START_NS, _TYPES.serialize_cdr(said, _STRING))
        policy.reset()

        def act(seen: Observation) -> np.ndarray:
            action = policy.infer(seen, Decoding()).values
            told = _TYPES.types[_NUMBER](data=float(action[6]))
            writer.write(grippers, seen.stamp_ns, _TYPES.serialize_cdr(told, _NUMBER))
            write_pose(seen.stamp_ns)
            return action

        def write_pose(stamp_ns: int) -> None:
            data = _TYPES.serialize_cdr(_pose_message(env, stamp_ns), _POSE)
            writer.write(poses, stamp_ns, data)

        for seen in drive(env, instruction, act, start_ns=_START_NS):
            data = _TYPES.serialize_cdr(_image_message(seen), _IMAGE)
            writer.write(pictures, seen.stamp_ns, data)
            images += 1
        write_pose(_START_NS + images * interval_ns(env))
    return RecordedEpisode(folder, instruction, images, env.outcome().success)


def _image_message(seen: Observation) -> Any:
    height, width, channels = seen.image.shape
    return _TYPES.types[_IMAGE](
        header=_header(seen.stamp_ns, frame='camera_optical_frame'),
        height=height,
        width=width,
        encoding='rgb8',
        is_bigendian=0,
        step=width * channels,
        data=np.ascontiguousarray(seen.image).reshape(-1),
    )


def _pose_message(env: Environment, stamp_ns: int) -> Any:
    position, quaternion = env.end_effector_pose()
    kinds = {name: _TYPES.types[f'geometry_msgs/msg/{name}'] for name in _POSE_PARTS}
    pose = kinds['Pose'](
        position=kinds['Point'](**dict(zip('xyz', map(float, position), strict=True))),
        orientation=kinds['Quaternion'](**dict(zip('xyzw', map(float, quaternion), strict=True))),
    )
    return _TYPES.types[_POSE](header=_header(stamp_ns, frame='base_link'), pose=pose)


def _header(stamp_ns: int, *, frame: str) -> Any:
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
    stamp = _TYPES.types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=nanoseconds)
    return _TYPES.types['std_msgs/msg/Header'](stamp=stamp, frame_id=frame)
