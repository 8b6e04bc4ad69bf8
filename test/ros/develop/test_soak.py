# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A short soak on real nodes, and what its figures are made of."""

import json
import time
from types import SimpleNamespace

import numpy as np
import pytest
from processes import run_python
from sensor_msgs.msg import Image
from std_msgs.msg import String
from waiting import wait_for

from spec_vla_ros.ros import qos
from spec_vla_ros.ros.children import ChildFailedError
from spec_vla_ros.ros.converters import to_nanoseconds
from spec_vla_ros.ros.develop.soak import relay, run
from spec_vla_ros.ros.develop.soak.faults import FaultTools
from spec_vla_ros.ros.develop.soak.growth import MemorySample, by_process, growth
from spec_vla_ros.ros.develop.soak.report import markdown, plot, soak_figures
from spec_vla_ros.ros.develop.soak.run import SoakRun
from spec_vla_ros.ros.develop.soak.trial import Trial

MB = 2**20


@pytest.mark.dds
@pytest.mark.slow
@pytest.mark.alone
def test_half_a_minute(tmp_path):
    """No missed halt, nothing that dies by itself; of growth and rates so little says nothing."""
    arguments = ('--minutes', '0.5', '--results', tmp_path)
    done = run_python('-m', 'spec_vla_ros.ros.develop.soak', *arguments, check=False)
    assert (tmp_path / 'soak.json').exists(), done.stdout + done.stderr
    found = json.loads((tmp_path / 'soak.json').read_text())
    assert found['faults_gone_wrong'] == []
    assert found['faults_injected'] >= 2
    assert any('killed' in name for name in found['by_fault'])
    assert found['successes'] > 0
    assert found['processes'].keys() >= {'sim_robot', 'camera_relay', 'policy_node', 'inference'}
    assert '| fault |' in (tmp_path / 'soak.md').read_text()
    assert (tmp_path / 'soak.png').stat().st_size > 10_000
    assert done.returncode == (0 if found['passed'] else 1)


def life(memory, *, threads=lambda i: 10, count=200, pid=7):
    return [
        MemorySample(
            seconds=10.0 * i,
            pid=pid,
            memory=int(memory(i)),
            resident=int(memory(i)) + 30 * MB,
            threads=threads(i),
            descriptors=20,
        )
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ('memory', 'threads', 'grows'),
    [
        (lambda i: 100 * MB, lambda i: 10, False),
        (lambda i: (100 + 0.1 * i) * MB, lambda i: 10, True),  # 15 MB after warming up
        (lambda i: (100 + 60 * min(i, 40) / 40) * MB, lambda i: 10, False),  # while warming up
        (lambda i: (100 + 50 * (i == 150)) * MB, lambda i: 10, False),  # a burst
        (lambda i: (1000 + 0.1 * i) * MB, lambda i: 10, False),  # 1.5 %
        (lambda i: 100 * MB, lambda i: 10 + i // 20, True),
        (lambda i: 100 * MB, lambda i: 10 + 3 * (i % 2), False),  # they come and go
    ],
)
def test_growth(memory, threads, grows):
    assert growth(life(memory, threads=threads), at_least=60)['grows'] is grows


def test_the_slope_is_that_of_memory():
    found = growth(life(lambda i: (100 + i / 36) * MB), at_least=60)  # 1 MB in 360 s
    assert found['slope_mb_per_hour'] == pytest.approx(10, rel=0.01)
    assert found['grown_mb'] == pytest.approx(1490 / 360, rel=0.01)


def test_short_lives_say_nothing():
    series = life(lambda i: 100 * MB, count=5, pid=1) + life(lambda i: 100 * MB, pid=2)
    assert [one['pid'] for one in by_process({'robot': series}, at_least=60)['robot']] == [2]


class Still:
    """A robot, and what is seen of it, that does not do what it is asked."""

    commands = 7
    node = SimpleNamespace(create_publisher=lambda kind, topic, profile: None)

    def __init__(self, *, reset=True):
        self.reset = reset

    def call(self, kind, name, request):
        return kind.Response(success=self.reset, message='no such seed', instruction='go')

    def instruct(self, text):
        pass

    def moves_since(self, since):
        return True

    def until(self, condition, *, timeout):
        return 0.0 if condition() else None


def soaked(monkeypatch, robot, results):
    """Return what comes of faults with such results, 'name': recovered or an error."""
    seen, results = SoakRun(control_rate=30.0), iter(results)

    def tried(fault, tools, *, began):
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return Trial(fault.name, 1.0, None, None, result, () if result else ('it stood still',))

    monkeypatch.setattr(run, 'try_fault', tried)
    monkeypatch.setattr(run, '_end_episode', lambda watch, outcome: None)
    tools = FaultTools(robot, robot, None, np.random.default_rng(0))
    run.inject_faults(seen, tools, seconds=60.0, say=lambda text: None)
    return seen


@pytest.mark.parametrize(
    ('results', 'reason'),
    [
        ([1.0, None], 'the loop does not run again after: '),
        ([1.0, ChildFailedError('policy_node ended with -6')], 'policy_node ended with -6'),
        ([1.0, TimeoutError('no answer from reset')], 'no answer from reset'),
    ],
)
def test_what_was_seen_is_kept_when_the_loop_does_not_run_again(
    monkeypatch, tmp_path, results, reason
):
    seen = soaked(monkeypatch, Still(), results)
    assert seen.ended_early.startswith(reason)
    assert seen.commands == 7
    found = soak_figures(seen)
    assert found['passed'] is False
    assert found['faults_injected'] == results.count(1.0) + results.count(None)
    text = markdown(found)
    assert '**not passed**' in text
    assert f'**Ended early**: {seen.ended_early}' in text
    plot(seen, tmp_path / 'soak.png')


def test_a_robot_that_lays_out_no_scene_says_why(monkeypatch):
    seen = soaked(monkeypatch, Still(reset=False), [])
    assert seen.ended_early.endswith(': no such seed')


def outcome(*, wrong=(), rate=30.0, memory=lambda i: 100 * MB):
    trials = [
        Trial('camera silent', 5.0, 0.5, 0.4, 1.0, ()),
        Trial('camera silent', 9.0, 0.5, 0.9, None, tuple(wrong)),
        Trial('wrong parameters', 12.0, None, None, 0.1, ()),
    ]
    return SoakRun(
        seconds=2000.0,
        episodes=3,
        successes=2,
        commands=60_000,
        trials=trials,
        rates=[rate] * 5,
        samples={'policy_node': life(memory)},
        control_rate=30.0,
    )


@pytest.mark.parametrize(
    ('seen', 'passed'),
    [
        (outcome(), True),
        (outcome(wrong=['it moved']), False),
        (outcome(rate=20.0), False),
        (outcome(memory=lambda i: (100 + i) * MB), False),
    ],
)
def test_verdict(seen, passed, tmp_path):
    found = soak_figures(seen)
    assert found['passed'] is passed
    assert found['by_fault']['camera silent']['longest_halt'] == 0.9
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    text = markdown(found)
    assert ('**passed**' in text) is passed
    assert '| wrong parameters | 1 | does not halt | - |' in text
    plot(seen, tmp_path / 'soak.png')
    assert (tmp_path / 'soak.png').stat().st_size > 10_000


@pytest.mark.dds
def test_the_relay_spoils_images(world):
    world.process('relay', 'spec_vla_ros.ros.develop.soak.relay')
    images = world.record(Image, 'image_relayed', qos.CAMERA)
    camera, count = world.camera(), iter(range(10**9))
    make = camera.make

    def numbered(now_ns):
        message = make(now_ns)
        message.data[0] = next(count) % 256
        return message

    camera.make = numbered
    mode = world.remote.node.create_publisher(String, 'relay_mode', qos.LATCHED)

    def become(name, predicate):
        mode.publish(String(data=name))
        return images.wait(predicate, name)

    def age(message):
        now = world.remote.node.get_clock().now().nanoseconds
        return (now - to_nanoseconds(message.header.stamp)) / 1e9

    first, second = images.wait(), images.wait()
    assert first.data[0] != second.data[0]
    become(relay.DEPTH, lambda m: m.encoding == '32FC1')
    become(relay.TRUNCATED, lambda m: len(m.data) < m.height * m.step)
    become(relay.LATE, lambda m: age(m) > 2.5)
    become(relay.PASS, lambda m: age(m) < 2.0 and m.encoding == 'rgb8')
    mode.publish(String(data=relay.FROZEN))
    wait_for(lambda: same_pixels(images.messages[-4:]), 'the same pixels again and again')
    stamps = [to_nanoseconds(m.header.stamp) for m in images.messages[-4:]]
    assert len(set(stamps)) == 4
    mode.publish(String(data=relay.SILENT))
    wait_for(lambda: silent_for_a_while(images), 'silence')


def same_pixels(messages):
    return len(messages) == 4 and all(m.data == messages[0].data for m in messages)


def silent_for_a_while(images):
    before = len(images.messages)
    time.sleep(0.5)
    return len(images.messages) == before
