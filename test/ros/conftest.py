# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Fixtures of the tests over DDS: every test in a ROS domain of its own."""

import os

import pytest
from geometry_msgs.msg import TwistStamped
from harness import new_world
from spec_vla_ros.msg import PolicyStatus

from spec_vla_ros.ros import qos


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark what starts nodes, whoever forgot to."""
    for item in items:
        if 'world' in item.fixturenames:
            item.add_marker(pytest.mark.dds)


@pytest.fixture
def world(tmp_path):
    with new_world(tmp_path) as world:
        yield world


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a parameter file, and returns its path."""

    def write(text):
        path = tmp_path / 'parameters.yaml'
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture
def stderr(capfd):
    """Return a function that reads what was written to standard error, and loses nothing.

    `capfd.readouterr` empties the file each time, and with it what is written between its reading
    and its emptying.
    """
    return lambda: os.pread(2, os.fstat(2).st_size, 0).decode()


@pytest.fixture
def status(world):
    """Everything the policy node says about itself."""
    return world.record(PolicyStatus, 'status', qos.LATCHED)


@pytest.fixture
def twists(world):
    """Every velocity it commands."""
    return world.record(TwistStamped, 'delta_twist_cmds')
