# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The demo's supervisor: everything it starts ends with it, however it ends."""

import json
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
from PIL import Image
from processes import (
    assert_runs,
    command_line,
    gone,
    kill_outright,
    start_python,
    wait_until_active,
)
from toy_checkpoint import write_tiny
from waiting import PATIENCE, wait_for

pytestmark = [pytest.mark.dds, pytest.mark.slow]
NODES = ('spec_vla_ros.ros.robots.sim_node', 'spec_vla_ros.ros.policy_node')


def start_demo(results, *arguments):
    return start_python('-m', 'spec_vla_ros.ros.demo', '--results', results, *arguments)


@pytest.fixture
def checkpoint(tmp_path):
    return write_tiny(tmp_path / 'checkpoint')


@pytest.fixture
def demo(tmp_path, checkpoint):
    """A running demo with a policy that knows nothing, so that it never ends by itself."""
    process = start_demo(
        tmp_path, '--checkpoint', str(checkpoint), '--time-limit', '600', '--episodes', '1'
    )
    yield process
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
    process.stdout.close()


def nodes_of(demo):
    """Return the demo's node processes, once both run."""

    def both():
        assert_runs(demo)
        children = psutil.Process(demo.pid).children(recursive=True)
        found = [c for c in children if any(node in command_line(c) for node in NODES)]
        return found if len(found) == len(NODES) else None

    return wait_for(both, 'robot and policy to start')


def all_gone(processes):
    return all(map(gone, processes))


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_everything(demo, tmp_path, number):
    nodes = nodes_of(demo)
    wait_until_active(demo, tmp_path)
    demo.send_signal(number)
    output, _ = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 130, output
    assert 'everything is stopped' in output
    assert 'Traceback' not in output
    assert all_gone(nodes)


def test_an_interrupt_while_it_starts_stops_everything(demo):
    nodes = nodes_of(demo)
    demo.send_signal(signal.SIGINT)
    output, _ = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 130, output
    assert all_gone(nodes)


def test_a_kill_leaves_no_orphan(demo, tmp_path):
    nodes = nodes_of(demo)
    wait_until_active(demo, tmp_path)
    kill_outright(demo.pid)
    wait_for(lambda: all_gone(nodes), 'the nodes to end')


@pytest.mark.parametrize('node', NODES)
def test_a_node_that_dies_fails_the_demo_with_its_name(demo, tmp_path, node):
    nodes = nodes_of(demo)
    wait_until_active(demo, tmp_path)
    victim = next(p for p in nodes if node in command_line(p))
    kill_outright(victim.pid)
    output, _ = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 1, output
    name = {'sim_node': 'sim_robot', 'policy_node': 'policy_node'}[node.rpartition('.')[2]]
    assert f'{name} ended with signal SIGKILL' in output
    assert all_gone(nodes)


def test_a_checkpoint_that_cannot_be_loaded(tmp_path):
    demo = start_demo(tmp_path, '--checkpoint', '/no/such/folder')
    output, _ = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 1, output
    assert 'the policy node does not start' in output
    assert '/no/such/folder' in (tmp_path / 'logs' / 'policy_node.log').read_text()


@pytest.mark.parametrize(
    ('arguments', 'reason'),
    [
        (['--episodes', '0'], 'at least 1'),
        (['--seed', '-1'], r'--seed must be in [0, '),
    ],
)
def test_bad_arguments(tmp_path, arguments, reason):
    demo = start_demo(tmp_path, *arguments)
    output, _ = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 2
    assert reason in output


def test_where_no_log_can_be_written_it_says_what_to_set(tmp_path):
    home = {'HOME': '/proc/none', 'ROS_HOME': '', 'ROS_LOG_DIR': ''}
    demo = start_python('-m', 'spec_vla_ros.ros.demo', '--results', tmp_path, **home)
    output, _ = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 1, output
    assert 'set ROS_LOG_DIR to a folder that can be written' in ' '.join(output.split())
    assert 'Traceback' not in output


def test_failures_are_reported_and_fail_the_demo(tmp_path, checkpoint):
    demo = start_demo(
        tmp_path, '--checkpoint', str(checkpoint), '--time-limit', '1', '--episodes', '2'
    )
    output, _ = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 1, output
    assert 'autoregressive only' in output  # this checkpoint has no drafter
    assert "'relaxed' needs a drafter" in output.replace('\n', ' ')
    assert 'success is below 80%' in output
    figures = json.loads((tmp_path / 'demo.json').read_text())
    assert figures['success_rate'] == 0.0
    assert list(figures['modes']) == ['autoregressive']
    assert 'speedup' not in figures
    with Image.open(tmp_path / 'demo.webp') as shown:  # failures are shown, too
        assert shown.is_animated


@pytest.mark.alone
def test_the_shipped_policy_succeeds_in_two_demos_at_once(tmp_path):
    """The promise of `make demo`, small: figures, picture, and no quarrel between two of them."""
    folders = [tmp_path / 'one', tmp_path / 'two']
    demos = [
        start_demo(folder, '--episodes', '2', '--seed', str(50 + 10 * k))
        for k, folder in enumerate(folders)
    ]
    outputs = [demo.communicate(timeout=PATIENCE)[0] for demo in demos]
    for k, (folder, demo, output) in enumerate(zip(folders, demos, outputs, strict=True)):
        assert demo.returncode == 0, output
        figures = json.loads((Path(folder) / 'demo.json').read_text())
        first = 9_000_050 + 10 * k
        assert figures['seeds'] == list(range(first, first + 2))
        assert figures['episodes'] == 2
        assert figures['success_rate'] >= 0.8
        # at control rate, and once more when an action begins between two ticks
        rows = figures['per_episode']
        actions_hz = sum(row['steps'] for row in rows) / sum(row['seconds'] for row in rows)
        assert 27.0 < figures['commands_hz'] < 33.0 + actions_hz
        latency = figures['latency_ms']
        assert 0 < latency['p50'] <= latency['p95'] <= latency['p99']
        assert figures['mode'] == 'relaxed'
        wins = [row['success'] for row in figures['per_episode']]
        assert figures['success_rate'] == sum(wins) / 2
        speculative, plain = (figures['modes'][w] for w in ('speculative', 'autoregressive'))
        assert speculative['success_rate'] == figures['success_rate']
        assert (speculative['mode'], plain['mode']) == ('relaxed', 'autoregressive')
        assert plain['target_passes'] == 7
        assert plain['draft_passes'] == 0
        assert 1 <= speculative['target_passes'] < 2.5
        assert plain['accept_length'] < speculative['accept_length']
        assert {'vision', 'prefill', 'decode'} == set(plain['phases_ms'])
        assert {'vision', 'prefill', 'draft', 'verify'} >= set(speculative['phases_ms'])
        assert figures['ratio']['target_passes'] > 1
        with Image.open(Path(folder) / 'demo.png') as strip:
            assert strip.width > 500
        assert figures['speedup'] == {
            'inference': figures['ratio']['inference_ms'],
            'image_to_action': figures['ratio']['latency_ms'],
        }
        assert figures['passes'] == {
            'speculative': speculative['target_passes'],
            'autoregressive': 7,
        }
        last = output.splitlines()[-1]
        medians = [way['inference_ms']['p50'] for way in (speculative, plain)]
        assert last.startswith(f'An action took {medians[0]:.1f} ms instead of {medians[1]:.1f} (')
        animation = Path(folder) / 'demo.webp'
        assert animation.stat().st_size <= 3_000_000
        with Image.open(animation) as shown:
            assert shown.n_frames > 20
            assert shown.width > 500
