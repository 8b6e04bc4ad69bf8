# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Which episodes the demo has on each simulated robot, and what it says where it has none."""

import json
import sys

import pytest
from PIL import Image
from processes import run_python
from toy_checkpoint import write_tiny

from spec_vla_ros import checkpoints
from spec_vla_ros.ros.demo import __main__ as main_module
from spec_vla_ros.ros.demo import simulators
from spec_vla_ros.ros.demo.simulators import EpisodeStart, libero, tabletop
from spec_vla_ros.sim.libero.suites import Task
from spec_vla_ros.sim.scene import HELD_OUT_SEEDS

SOUP, MILK = (f'pick up the {what} and place it in the basket' for what in ('soup', 'milk'))


@pytest.fixture
def two_tasks(monkeypatch):
    tasks = tuple(Task('libero_object', n, 'x', text) for n, text in enumerate((SOUP, MILK)))
    monkeypatch.setattr(simulators, 'read_tasks', lambda suite: tasks)


def test_the_table_begins_from_held_out_seeds():
    table = tabletop(instruction='pick up the red block')
    assert table.start(3) == EpisodeStart(HELD_OUT_SEEDS[3], 'pick up the red block')
    assert tabletop().start(0).instruction == ''
    assert table.checkpoint == ''


def test_libero_begins_every_task_in_a_state_before_the_next_one(two_tasks):
    robot = libero('libero_object', checkpoint='/some/where')
    starts = [robot.start(number) for number in range(robot.starts)]
    assert [(s.instruction, s.initial_state) for s in starts[:3]] == [
        (SOUP, 0),
        (MILK, 0),
        (SOUP, 1),
    ]
    assert len(set(starts)) == 100
    assert starts[-1].initial_state == 49
    assert robot.most_actions == 280
    alone = libero('libero_object', checkpoint='/some/where', instruction=MILK.upper())
    assert [alone.start(n).initial_state for n in range(alone.starts)] == list(range(50))
    assert {alone.start(n).instruction for n in range(50)} == {MILK}


def test_the_picture_is_turned_once(two_tasks, tmp_path):
    own = tmp_path / 'own.yaml'
    own.write_text('image_rotation: 180\n')
    for recipe, turn in (('', 180), ('plain', 180), ('libero', 0), (str(own), 0)):
        robot = libero('libero_object', checkpoint='/some/where', recipe=recipe)
        assert f'image_rotation:={turn}' in robot.parameters
        assert robot.upside_down == (turn == 0)


def test_the_shipped_policy_is_taken_where_there_is_one(two_tasks, monkeypatch, tmp_path):
    monkeypatch.setattr(checkpoints, '__file__', str(tmp_path / '__init__.py'))
    with pytest.raises(ValueError, match='no policy for libero_object is shipped'):
        libero('libero_object')
    (tmp_path / 'libero_object').mkdir()
    (tmp_path / 'libero_object' / 'config.json').touch()
    assert libero('libero_object').checkpoint == str(tmp_path / 'libero_object')


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--instruction', 'make coffee'], 'pick up the red block'),
        (['--suite', 'libero_10'], 'no policy for libero_10 is shipped'),
        (['--suite', 'libero_10', '--checkpoint', '/x', '--instruction', 'sing'], SOUP),
        (['--suite', 'libero_10', '--checkpoint', '/x', '--seed', '91'], 'must be in [0, 90]'),
    ],
)
def test_what_cannot_be_shown_is_told(two_tasks, monkeypatch, capsys, arguments, words):
    monkeypatch.setattr(sys, 'argv', ['demo', *arguments])
    with pytest.raises(SystemExit, match='2'):
        main_module.main()
    assert words in capsys.readouterr().err


@pytest.mark.dds
@pytest.mark.slow
@pytest.mark.libero
def test_a_policy_that_knows_nothing_is_shown_on_liberos_robot(tmp_path):
    pytest.importorskip('libero', reason='no LIBERO: make libero')
    words = 'pick up the milk and place it in the basket'
    checkpoint = write_tiny(tmp_path / 'tiny', words=tuple(words.split()))
    done = run_python(
        *('-m', 'spec_vla_ros.ros.demo', '--suite', 'libero_object', '--instruction', words),
        *('--checkpoint', checkpoint, '--episodes', '1', '--time-limit', '2'),
        *('--results', tmp_path),
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert 'success is below 70%' in done.stdout
    assert 'of real time' in done.stdout
    figures = json.loads((tmp_path / 'demo_libero_object.json').read_text())
    (episode,) = figures['per_episode']
    assert episode['instruction'] == words
    assert episode['initial_state'] == 0
    assert episode['steps'] >= 8  # of twenty a second, half are the inferences'
    assert 0 < figures['real_time_factor'] < 1.1
    assert figures['commands_hz'] == pytest.approx(20, abs=12)
    assert figures['latency_ms']['p50'] >= 0
    with Image.open(tmp_path / 'demo_libero_object.webp') as shown:
        assert shown.is_animated
    assert (tmp_path / 'demo_libero_object.png').exists()
