# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The transport profile is in use: the big segment, and sockets on this machine only."""

import os
import shutil
from pathlib import Path

import psutil
import pytest
from sensor_msgs.msg import Image
from waiting import wait_for

from spec_vla_ros.ros import qos

pytestmark = pytest.mark.dds
SEGMENT = 16 * 2**20


def segments_of(pid):
    """Return the sizes of the shared-memory segments that a process has mapped."""
    lines = Path(f'/proc/{pid}/maps').read_text().splitlines()
    # fastdds_..., until Jazzy fastrtps_...
    paths = {line.split(maxsplit=5)[5] for line in lines if '/dev/shm/fast' in line}
    return [os.stat(path).st_size for path in paths if os.path.exists(path)]


@pytest.mark.skipif(
    shutil.disk_usage('/dev/shm').free < 4 * SEGMENT,
    reason='/dev/shm is too small or too full; Fast DDS then uses UDP',
)
def test_profile_is_used_by_nodes_and_tests(world):
    images = world.record(Image, 'image', qos.CAMERA)
    robot = world.process('robot', 'spec_vla_ros.ros.robots.sim_node')
    images.wait()
    for pid in (robot, os.getpid()):
        assert max(segments_of(pid)) >= SEGMENT


def test_discovery_listens_on_this_machine_only(world):
    robot = world.process('robot', 'spec_vla_ros.ros.robots.sim_node')
    world.record(Image, 'image', qos.CAMERA).wait()
    base = 7400 + 250 * world.domain_id
    ports = wait_for(
        lambda: [
            c.laddr
            for c in psutil.Process(robot).net_connections(kind='udp4')
            if c.laddr and base <= c.laddr.port < base + 250
        ]
    )
    assert {address.ip for address in ports} == {'127.0.0.1'}


def test_large_images_arrive_whole(world):
    """700 KB over best effort: more than the default segment of 512 KB holds."""
    world.process(
        'robot', 'spec_vla_ros.ros.robots.sim_node', '--ros-args', '-p', 'image_size:=480'
    )
    images = world.record(Image, 'image', qos.CAMERA)
    first = images.wait()
    wait_for(lambda: len(images.messages) > 40, 'forty frames')
    assert first.width == 480
    assert {len(m.data) for m in images.messages} == {480 * 480 * 3}
