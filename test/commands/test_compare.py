# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla compare` on recordings of the simulated robot: right, and with a convention wrong."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from recording_files import IMAGE, PICTURES, POSE, geometry, pose, raw, record

from spec_vla_ros import cli
from spec_vla_ros.evaluation.recorded.motion_messages import TWIST
from spec_vla_ros.recordings.reader import message, opened

pytestmark = pytest.mark.slow

ARM = ('--pose-topic', '/end_effector_pose', '--gripper-topic', '/gripper_command')


@pytest.fixture(scope='module')
def recordings(tmp_path_factory):
    out = tmp_path_factory.mktemp('bags')
    assert cli.main(['record-sim', '--episodes', '3', '--out', str(out)]) == 0
    return [str(folder) for folder in sorted(out.iterdir())]


@pytest.fixture
def compare(recordings, tmp_path, capsys):
    """Run the command: its status, each dimension's suspicion, what it prints and complains of."""

    def run(*options):
        status = cli.main(['compare', *recordings, *options, '--out', str(tmp_path / 'out')])
        said = capsys.readouterr()
        file = tmp_path / 'out' / 'compare.json'
        rows = json.loads(file.read_text())['dimensions'] if file.exists() else []
        return status, {row['name']: row['suspicion'] for row in rows}, said.out, said.err

    return run


def test_the_shipped_policy_follows_what_it_did(compare, tmp_path):
    status, looks, out, _ = compare(*ARM)
    assert status == 0
    assert list(looks.values()) == [''] * 7
    assert 'All of the 7 dimensions that move follow the recording.' in out
    written = {path.name for path in (tmp_path / 'out').iterdir()}
    assert written == {'compare.json', 'compare.md', 'compare.png'}


def test_what_is_wrong_is_named(compare):
    _, looks, out, _ = compare(
        *ARM, '--set', 'gripper_inverted=true', '--set', 'action_scale=[0.02, 1]'
    )
    assert looks['gripper'] == 'gripper inverted: gripper_inverted, or --gripper-open?'
    assert all('scale off by 1/50x' in looks[axis] for axis in 'xyz')
    assert not any(looks[axis] for axis in ('roll', 'pitch', 'yaw'))
    assert '4 of 7 dimensions that move look wrong' in out


@pytest.fixture
def unitless(recordings, tmp_path):
    """The same recordings with velocities, of which 1.0 is 0.4 m/s, in place of poses."""

    def velocities(path, folder):
        with opened(path) as recording:
            kept = [
                (stamp, connection.topic, connection.msgtype, message(connection, data))
                for connection, stamp, data in recording.messages(recording.connections)
            ]
        poses = [(stamp, m) for stamp, topic, _, m in kept if topic == '/end_effector_pose']
        for (start, here), (end, there) in pairwise(poses):
            seconds = (end - start) / 1e9
            speed = {
                axis: (getattr(there.pose.position, axis) - getattr(here.pose.position, axis))
                / (0.4 * seconds)
                for axis in 'xyz'
            }
            still = geometry('Vector3', x=0.0, y=0.0, z=0.0)
            moves = geometry('Twist', linear=geometry('Vector3', **speed), angular=still)
            driven = geometry('TwistStamped', header=here.header, twist=moves)
            kept.append((start, '/twist', TWIST, driven))
        return str(record(folder, sorted(kept, key=lambda each: each[0])))

    return [velocities(Path(p), tmp_path / Path(p).name) for p in recordings]


def test_unitless_velocities_are_told_before_a_scale_is_advised(unitless, tmp_path, capsys):
    """The scale that was advised would have made the arm go farther, and for nothing."""
    command = ['compare', *unitless, '--twist-topic', '/twist', '--out', str(tmp_path / 'out')]
    wrong = ('--set', 'action_scale=[0.05, 1]')
    assert cli.main([*command, *wrong]) == 0
    told = 'velocities of /twist are taken as m/s and rad/s: if they are unitless'
    assert told in capsys.readouterr().out
    assert cli.main([*command, *wrong, '--twist-linear-scale', '0.4']) == 0
    assert told not in capsys.readouterr().out
    assert cli.main([*command, '--twist-linear-scale', '0.4']) == 0
    said = capsys.readouterr().out
    assert told not in said
    assert 'scale off' not in said
    assert 'All of the 3 dimensions that move follow the recording.' in said


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        ((), 'one of the two'),
        (('--pose-topic', '/nowhere'), 'has no topic /nowhere; it has: '),
        ((*ARM, '--interval', 'inf'), '--interval inf: give seconds'),
        ((*ARM, '--gripper-closed', 'nan'), 'the gripper is closed at nan'),
        ((*ARM, '--recipe', 'nowhere'), 'none of plain, libero, bridge'),
        ((*ARM, '--unnorm-key', 'other'), "unknown unnorm_key 'other'"),
    ],
)
def test_errors_come_before_the_model(compare, monkeypatch, options, reason):
    monkeypatch.setattr('spec_vla_ros.commands.compare.load_policy', None)
    status, _, _, err = compare(*options)
    assert status == 2
    assert reason in err


def test_an_arm_of_another_time_is_told_before_the_model(monkeypatch, tmp_path, capsys):
    """The camera's stamps are of 1970, as of one that counts from when it was switched on."""
    monkeypatch.setattr('spec_vla_ros.commands.compare.load_policy', None)
    messages = []
    for i in range(40):
        seen = raw(PICTURES[i % len(PICTURES)])
        seen.header.stamp.sec = 5 + i
        moved = pose(0.01 * i, 0.0)
        moved.header.stamp.sec = 1_700_000_000 + i
        now = (1_700_000_000 + i) * 10**9
        messages += [(now, '/image', IMAGE, seen), (now, '/pose', POSE, moved)]
    bag = record(tmp_path / 'bag', messages)
    command = ['compare', str(bag), '--instruction', 'go', '--pose-topic', '/pose']
    assert cli.main([*command, '--out', str(tmp_path / 'out')]) == 2
    said = capsys.readouterr()
    assert '1699999995.0 s behind' in said.out
    assert '0 of 40 pictures were taken while the arm was recorded' in said.err


@pytest.mark.parametrize(('interval', 'told'), [('0.1', True), ('0.5', False), ('0', False)])
def test_pictures_further_apart_than_a_step_are_told_before_the_model(
    monkeypatch, tmp_path, capsys, interval, told
):
    """A recorder on a slow disk keeps two pictures a second; the arm would seem to go too far."""

    def stop(*given, **named):
        raise ValueError('the weights would be read now')

    monkeypatch.setattr('spec_vla_ros.commands.compare.load_policy', stop)
    messages = []
    for i in range(40):
        now = (1_700_000_000 + i // 2) * 10**9 + i % 2 * 500_000_000
        picture = PICTURES[i % len(PICTURES)]
        messages += [(now, '/image', IMAGE, raw(picture)), (now, '/pose', POSE, pose(i, 0.0))]
    bag = record(tmp_path / 'bag', messages)
    command = ['compare', str(bag), '--instruction', 'go', '--pose-topic', '/pose']
    cli.main([*command, '--interval', interval, '--out', str(tmp_path / 'out')])
    said = capsys.readouterr()
    assert 'the weights would be read now' in said.err
    words = 'pictures are 0.5 s apart, and a step takes --interval 0.1 s'
    assert (words in said.out) == told
    assert ('looks 5 times too far' in said.out) == told


def test_a_folder_that_cannot_be_written_is_told_before_the_replay(
    recordings, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr('spec_vla_ros.commands.compare.load_policy', None)
    (tmp_path / 'file').touch()
    assert cli.main(['compare', *recordings, *ARM, '--out', str(tmp_path / 'file')]) == 2
    assert 'give another --out' in capsys.readouterr().err
