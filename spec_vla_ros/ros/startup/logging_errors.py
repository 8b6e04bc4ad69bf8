# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What to do where ROS can write no log: in containers without HOME, or that are read only."""

from __future__ import annotations


def with_way_on(error: RuntimeError) -> str:
    """Return the text of an error that rclpy raised at its start, with the way on if there is one.

    ROS starts no program that cannot make its folder of logs.
    """
    text = str(error)
    if 'initialize logging' not in text:
        return text
    return f'{text}; set ROS_LOG_DIR to a folder that can be written'
