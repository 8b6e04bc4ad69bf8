# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Fixtures of the tests over DDS: every test in a ROS domain of its own."""

import pytest
from geometry_msgs.msg import TwistStamped
from harness import World
from spec_vla_ros.msg import PolicyStatus

from spec_vla_ros.ros import qos
from spec_vla_ros.ros.free_domain import free_domain


@pytest.fixture
def world(tmp_path):
    with free_domain() as domain_id:
        world = World(domain_id, tmp_path)
        yield world
        world.close()


@pytest.fixture
def status(world):
    """Everything the policy node says about itself."""
    return world.record(PolicyStatus, 'status', qos.LATCHED)


@pytest.fixture
def twists(world):
    """Every velocity it commands."""
    return world.record(TwistStamped, 'delta_twist_cmds')
