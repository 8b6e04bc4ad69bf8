# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Markers and the annotated image: over DDS, and of made-up actions."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from harness import FORWARD, STILL_IMAGE, ScriptedPolicy, vector
from sensor_msgs.msg import Image
from visualization_msgs.msg import Marker, MarkerArray
from waiting import wait_for

from spec_vla_ros.ros import overlay, qos
from spec_vla_ros.ros.converters import image_to_rgb
from spec_vla_ros.ros.overlay import PATH_STEPS, annotated
from spec_vla_ros.types import DecodeStats

ROOT = Path(__file__).parents[2]
LAYOUT = ROOT / 'config' / 'foxglove_layout.json'


def by_name(message):
    return {marker.ns: marker for marker in message.markers}


@pytest.fixture
def policy():
    policy = ScriptedPolicy(has_drafter=True)
    policy.stats = lambda decoding: DecodeStats(
        decoding.mode, 3, 5, (4, 2), acceptance_thresholds=(9,) * 6 + (0,)
    )
    return policy


def start(world, policy, **parameters):
    world.policy_node(lambda settings: policy, **parameters)
    camera = world.camera()
    world.instruct('pick up the red block')
    return camera


@pytest.mark.dds
class TestOverDds:
    def test_arrow_path_and_words_of_an_action(self, world, policy):
        pose = PoseStamped()
        pose.header.frame_id = 'base_link'
        pose.pose.position.x = 0.4
        arm = world.remote.node.create_publisher(
            PoseStamped, 'end_effector_pose', qos.SENSOR_STATE
        )
        world.remote.node.create_timer(0.02, lambda: arm.publish(pose))
        found = world.record(MarkerArray, 'markers')
        start(world, policy)
        markers = by_name(found.wait(lambda m: m.markers[0].points and m.markers[0].points[0].x))
        arrow, path, words = markers['delta'], markers['path'], markers['words']
        assert arrow.header.frame_id == path.header.frame_id == 'base_link'
        begin, end = map(vector, arrow.points)
        np.testing.assert_allclose(begin, [0.4, 0, 0])
        np.testing.assert_allclose(end - begin, FORWARD[:3])
        assert len(path.points) == PATH_STEPS + 1
        np.testing.assert_allclose(vector(path.points[-1]) - begin, PATH_STEPS * FORWARD[:3])
        assert words.text.startswith('relaxed r=9, accept length 3.50, 3 passes')

    def test_a_halt_takes_the_arrow_away_and_says_why(self, world, policy):
        found = world.record(MarkerArray, 'markers')
        camera = start(world, policy, image_timeout=0.2)
        found.wait(lambda m: m.markers[0].action == Marker.ADD)
        camera.covered = True
        markers = by_name(found.wait(lambda m: 'halted' in by_name(m)['words'].text))
        assert 'image_timeout' in markers['words'].text
        assert markers['delta'].action == markers['path'].action == Marker.DELETE

    def test_an_annotated_image_is_the_camera_image_with_words(self, world, policy):
        images = world.record(Image, 'annotated_image', qos.CAMERA)
        start(world, policy)
        found = images.wait()
        picture = image_to_rgb(found)
        height, width = STILL_IMAGE.shape[:2]
        assert picture.shape[1] % width == 0
        scale = picture.shape[1] // width
        assert picture.shape[0] > height * scale
        inside = picture[height * scale // 2, width * scale // 2]
        np.testing.assert_array_equal(inside, [90, 90, 90])
        assert found.header.frame_id == 'camera'

    def test_a_picture_that_cannot_be_drawn_is_told_and_ends_nothing(
        self, world, policy, monkeypatch, capfd
    ):
        def fail(*given, **named):
            raise SyntaxError('not a TIFF file')

        monkeypatch.setattr(overlay, 'annotated', fail)
        world.record(Image, 'annotated_image', qos.CAMERA)
        start(world, policy)
        told = 'annotated_image cannot be drawn: SyntaxError: not a TIFF file'
        wait_for(lambda: told in capfd.readouterr().err, 'the warning')
        count = len(policy.observations)
        wait_for(lambda: len(policy.observations) > count + 3, 'further actions')

    def test_nothing_is_drawn_while_nobody_looks(self, world, policy, monkeypatch):
        drawn = []
        monkeypatch.setattr(overlay, 'annotated', lambda *given, **named: drawn.append(given))
        monkeypatch.setattr(overlay, 'marker_array', lambda *given, **named: drawn.append(given))
        start(world, policy)
        wait_for(lambda: len(policy.observations) > 5, 'some actions')
        assert not drawn


@pytest.mark.parametrize(('width', 'wide'), [(64, 512), (192, 576), (640, 640), (1920, 1920)])
@pytest.mark.parametrize('good', [True, False])
def test_any_size_of_picture(width, wide, good):
    picture = np.full((width * 3 // 4, width, 3), 50, np.uint8)
    found = annotated(picture, ['pick up the red block', 'r\N{DOUBLE ACUTE ACCENT}'], good=good)
    assert found.shape[1] == wide
    assert found.shape[0] > wide * 3 // 4
    assert found.dtype == np.uint8
    red, green = found[0, 0, :2].astype(int)
    assert (green > red) == good
    assert (picture == 50).all()  # the original is as it was


def test_long_words_are_wrapped_and_stay_legible():
    picture = np.full((480, 640, 3), 50, np.uint8)
    short = annotated(picture, ['go'], good=True)
    long = annotated(picture, ['no image for 0.60 s ' * 8], good=False)
    assert long.shape[0] > short.shape[0] > 480
    assert (long[480:, -8:] == 24).all()  # nothing reaches the right edge


def topics_in(layout):
    """Every topic that a layout names, whatever the panel."""
    if isinstance(layout, dict):
        for key, value in layout.items():
            if key in ('topicPath', 'imageTopic', 'value', 'topic') and isinstance(value, str):
                yield from re.findall(r'^/[a-z_/]+', value)
            if key == 'topics' and isinstance(value, dict):
                yield from value
            yield from topics_in(value)
    elif isinstance(layout, list):
        for item in layout:
            yield from topics_in(item)


def test_the_foxglove_layout_shows_topics_that_exist():
    layout = json.loads(LAYOUT.read_text())
    assert set(layout['configById']) >= {'3D!markers', 'Image!annotated', 'Plot!passes'}
    page = (ROOT / 'docs' / 'reference' / 'ros.md').read_text()
    documented = set(re.findall(r'^\| `([~a-z_/]+)` \|', page, re.M))
    topics = topics_in(layout['configById'])
    named = {topic.removeprefix('/').replace('spec_vla/', '~/') for topic in topics}
    assert {'markers', 'annotated_image', '~/statistics', 'status', 'instruction'} <= named
    assert named <= documented
