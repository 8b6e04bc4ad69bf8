# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A topic is closed when its last message has been heard, not before."""

from types import SimpleNamespace

import pytest
import rclpy
from geometry_msgs.msg import TwistStamped
from harness import wait_for
from rclpy.lifecycle import LifecycleNode

from spec_vla_ros.ros import qos
from spec_vla_ros.ros.last_word import PATIENCE, close_when_heard


@pytest.mark.parametrize(
    ('context_ok', 'expected'), [(True, ['waits', 'closes']), (False, ['closes'])]
)
def test_it_waits_before_it_closes_while_it_can(context_ok, expected):
    done, patience = [], []
    node = SimpleNamespace(
        context=SimpleNamespace(ok=lambda: context_ok),
        destroy_lifecycle_publisher=lambda publisher: done.append('closes'),
    )

    def wait_for_all_acked(timeout):
        patience.append(timeout.nanoseconds / 1e9)
        done.append('waits')

    close_when_heard(node, SimpleNamespace(wait_for_all_acked=wait_for_all_acked))
    assert done == expected
    assert patience == [PATIENCE] * context_ok


@pytest.mark.dds
def test_the_last_message_arrives_though_the_topic_is_closed_at_once(world):
    context = rclpy.context.Context()
    context.init(domain_id=world.domain_id)
    heard = world.record(TwistStamped, 'commands')
    node = LifecycleNode('speaker', context=context)
    publisher = node.create_lifecycle_publisher(TwistStamped, 'commands', qos.COMMAND)
    node.trigger_configure()
    node.trigger_activate()
    wait_for(lambda: publisher.get_subscription_count() == 1, 'the subscriber')
    for number in range(50):
        message = TwistStamped()
        message.twist.linear.x = float(number)
        publisher.publish(message)
    close_when_heard(node, publisher)
    wait_for(lambda: heard.last is not None and heard.last.twist.linear.x == 49.0, 'the last')
    node.destroy_node()
    context.try_shutdown()
