# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What was said last is waited for, while there is somebody to wait for."""

from types import SimpleNamespace

import pytest

from spec_vla_ros.ros import arm_outputs, status_topics
from spec_vla_ros.ros.last_word import PATIENCE, wait_until_heard


@pytest.mark.parametrize('context_ok', [True, False])
def test_it_waits_only_while_the_middleware_runs(context_ok):
    waited = []
    node = SimpleNamespace(context=SimpleNamespace(ok=lambda: context_ok))
    publisher = SimpleNamespace(
        wait_for_all_acked=lambda timeout: waited.append(timeout.nanoseconds / 1e9)
    )
    wait_until_heard(node, publisher)
    assert waited == [PATIENCE] * context_ok


@pytest.mark.parametrize('command_type', ['twist', 'pose'])
def test_a_topic_of_commands_is_heard_before_it_is_closed(monkeypatch, command_type):
    done = []
    monkeypatch.setattr(arm_outputs, 'wait_until_heard', lambda *_: done.append('heard'))
    node = SimpleNamespace(
        create_lifecycle_publisher=lambda *_: SimpleNamespace(topic_name='topic'),
        destroy_lifecycle_publisher=lambda _: done.append('closed'),
    )
    settings = arm_outputs.PolicySettings(command_type=command_type)
    arm_outputs.make_arm_output(node, settings).close()
    assert done == ['heard', 'closed']


def test_the_status_is_heard_before_its_node_is_gone(monkeypatch):
    done = []
    monkeypatch.setattr(
        status_topics, 'wait_until_heard', lambda _, publisher: done.append(publisher)
    )
    published = SimpleNamespace(publish=lambda _: None)
    node = SimpleNamespace(
        create_publisher=lambda *_: published,
        create_timer=lambda *_, **__: 'timer',
        get_fully_qualified_name=lambda: '/spec_vla',
        get_clock=lambda: SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=0)),
    )
    status_topics.StatusTopics(node, steady=None, held_back=lambda: '').close()
    assert done == [published]
