# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The dashboard: drawn from messages, and of a running node."""

import sys

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from harness import ScriptedPolicy
from processes import run_python
from rich.console import Console
from spec_vla_ros.msg import DecodeStatistics, PolicyStatus, VlaAction
from waiting import PATIENCE, wait_for

from spec_vla_ros import cli
from spec_vla_ros.ros import top
from spec_vla_ros.ros.diagnostics import status_name
from spec_vla_ros.ros.endpoints import ONLY_WATCH
from spec_vla_ros.ros.policy_node import SpecVlaNode
from spec_vla_ros.ros.top import Seen, Watcher, dashboard, sparkline


def drawn(thing):
    console = Console(record=True, width=100)
    console.print(thing)
    return console.export_text()


def statistics(passes=2, **fields):
    defaults = {
        'mode': 'relaxed',
        'acceptance_thresholds': [9] * 6 + [0],
        'temporal_draft': True,
        'target_passes': passes,
        'phase_names': ['vision', 'prefill'],
        'phase_ms': [4.0, 2.5],
        'inference_ms': 7.0,
    }
    return DecodeStatistics(**{**defaults, **fields})


def seen(**status):
    found = Seen(
        status=PolicyStatus(state=PolicyStatus.STATE_RUNNING, instruction='go', **status),
        status_at=100.0,
        action=VlaAction(gripper_opening=1.0),
        diagnostics={'latency p99 [ms]': '51.2', 'halts': '3'},
    )
    found.action.delta_position.x = -0.0123
    found.statistics.extend(statistics(passes) for passes in (7, 1, 3))
    return found


def test_a_running_node():
    text = drawn(dashboard(seen(), now=100.5))
    for words in (
        *('running', 'go', '-12.3', 'gripper 1.00', 'relaxed, temporal draft'),
        *('9 9 9 9 9 9 0 bins', '█▁▃  3', '7.0 ms', 'vision 4.0, prefill 2.5 ms', '51.2'),
    ):
        assert words in text


def test_a_halted_a_silent_and_an_unheard_node():
    halted = seen(reason_text='no image for 0.60 s')
    halted.status.state = PolicyStatus.STATE_HALTED
    text = drawn(dashboard(halted, now=100.5))
    assert 'halted' in text
    assert 'no image for 0.60 s' in text
    assert 'silent for 10 s' in drawn(dashboard(halted, now=110.0))
    assert 'no node has been heard' in drawn(dashboard(Seen(), now=0.0))


def test_it_is_nobody_who_listens():
    assert top.NODE.startswith(ONLY_WATCH)


def test_sparkline():
    assert sparkline([0, 5, 10, 20, -1], low=0, high=10) == '▁▅██▁'
    assert sparkline([1.0], low=1, high=1) == '▁'


class Silent:
    """Subscribes to nothing."""

    def subscribe(self, *args):
        pass


@pytest.mark.parametrize(('namespace', 'node'), [('', '/spec_vla'), ('/left', '/left/spec_vla')])
def test_of_several_arms_on_one_topic_the_one_asked_for_is_shown(namespace, node):
    watcher = Watcher(Silent(), namespace=namespace)
    for name in (node, '/right/spec_vla', '/left/other', '/spec_vla_2'):
        status = DiagnosticStatus(
            name=status_name(name), values=[KeyValue(key='halts', value=name)]
        )
        watcher._on_diagnostics(DiagnosticArray(status=[status]))
    assert watcher.seen.diagnostics == {'halts': node}


@pytest.mark.dds
class TestOverDds:
    def test_it_follows_a_node_in_a_namespace(self, world):
        watcher = Watcher(world.remote, namespace='/left_arm')
        world.policy_node(lambda settings: ScriptedPolicy(), name='/left_arm/spec_vla')
        world.camera('/left_arm/image')
        world.instruct('go', '/left_arm/instruction')
        wait_for(lambda: len(watcher.seen.statistics) > 3, 'statistics')
        wait_for(lambda: watcher.seen.diagnostics, 'diagnostics')
        assert watcher.seen.status.instruction == 'go'
        assert 'scripted' in drawn(watcher.dashboard())

    def test_the_command_draws_once(self, world):
        world.policy_node(lambda settings: ScriptedPolicy())
        world.camera()
        world.instruct('go')
        done = run_top(world, '--once', '--timeout', str(PATIENCE))
        assert 'images [Hz]' in done.stdout

    def test_a_namespace_that_is_none_is_refused(self, world):
        done = run_top(world, '--once', '--timeout', '1', '--namespace', 'left arm', check=False)
        assert done.returncode == 2
        assert "error: --namespace 'left arm' or --node 'spec_vla' is none" in done.stderr

    def test_a_node_of_another_name_is_told_and_shown(self, world):
        remapped = ['--ros-args', '-r', '__node:=vla']
        world.spin(
            lambda context: SpecVlaNode(
                make_policy=lambda settings: ScriptedPolicy(), context=context, cli_args=remapped
            )
        )
        assert world.remote.configure('/vla')
        done = run_top(world, '--once', '--timeout', '5', check=False)
        assert 'the node there is called vla: give --node' in done.stderr
        done = run_top(world, '--once', '--timeout', str(PATIENCE), '--node', 'vla')
        assert 'images [Hz]' in done.stdout

    def test_it_says_when_there_is_no_node(self, world):
        done = run_top(world, '--once', '--timeout', '1', check=False)
        assert done.returncode == 1
        assert 'no node has been heard' in done.stdout
        assert 'is it started, with this ROS_DOMAIN_ID?' in done.stderr

    def test_it_says_in_which_namespace_there_are_nodes(self, world):
        world.policy_node(lambda settings: ScriptedPolicy(), name='/left_arm/spec_vla')
        done = run_top(world, '--once', '--timeout', '10', check=False)  # to discover one another
        assert done.returncode == 1
        assert 'on /status; there are nodes in /left_arm: give --namespace' in done.stderr


def run_top(world, *arguments, **options):
    command = ('-m', 'spec_vla_ros.cli', 'top', *arguments)
    return run_python(*command, ROS_DOMAIN_ID=str(world.domain_id), **options)


def test_without_a_terminal_it_says_so_in_place_of_drawing_nothing_for_ever(capsys):
    assert cli.main(['top']) == 2
    assert 'there is no terminal to draw in: give --once' in capsys.readouterr().err


def test_without_ros_it_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'spec_vla_ros.ros.top', None)
    assert cli.main(['top']) == 2
    assert 'needs ROS 2' in capsys.readouterr().err
