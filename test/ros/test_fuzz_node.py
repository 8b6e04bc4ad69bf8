# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Bad messages on everything the policy node listens to: it halts or runs, and never dies."""

import time

import numpy as np
import psutil
import pytest
from geometry_msgs.msg import TwistStamped
from harness import action_client, halted, running, twist_vector
from processes import gone
from random_messages import damaged_bytes, message_class, plausible_image, random_message
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from spec_vla_ros.action import ExecuteInstruction
from spec_vla_ros.msg import PolicyStatus
from std_srvs.srv import SetBool, Trigger
from waiting import wait_for

from spec_vla_ros.ros import qos
from spec_vla_ros.ros.remote import RemoteNode

pytestmark = [pytest.mark.dds, pytest.mark.slow]

NODE = '/spec_vla'
STOP = '/emergency_stop'
NOT_OURS = ('/parameter_events', '/clock')
OUTSIDE = (PolicyStatus.STATE_INACTIVE, PolicyStatus.STATE_RUNNING, PolicyStatus.STATE_HALTED)


class Victim:
    """A policy node in a process, watched while it is sent nonsense."""

    def __init__(self, world, *parameters):
        self.world = world
        trees_are_fixed = 'draft_top_k:=4'  # so that nothing is measured to choose them
        arguments = [word for p in (trees_are_fixed, *parameters) for word in ('-p', p)]
        self.process = psutil.Process(
            world.process('policy', 'spec_vla_ros.ros.policy_node', '--ros-args', *arguments)
        )
        self.twists = world.record(TwistStamped, 'delta_twist_cmds')
        self.status = world.record(PolicyStatus, 'status', qos.LATCHED)
        assert world.remote.configure(NODE)
        assert world.remote.activate(NODE)

    def inputs(self, *, image='/image', stop=False):
        """Name and class of every topic the node is subscribed to.

        stop: the emergency stop too, which latches.
        """
        node = self.world.remote.node

        def listed():
            found = node.get_subscriber_names_and_types_by_node('spec_vla', '/')
            return {n: t[0] for n, t in found if n not in NOT_OURS and (stop or n != STOP)}

        wait_for(lambda: {image, '/instruction'} <= listed().keys(), 'the subscriptions')
        return {name: message_class(kind) for name, kind in listed().items()}

    def assert_well(self):
        """It lives, goes on reporting, and has commanded nothing that is no number."""
        self.status.wait(lambda s: s.state in OUTSIDE, 'the next status')
        assert not gone(self.process)
        assert all(np.isfinite(twist_vector(t)).all() for t in list(self.twists.messages))

    def assert_works(self):
        """It still does its job, once it is reset and given what it needs."""
        assert self.world.remote.call(Trigger, f'{NODE}/reset', Trigger.Request()).success
        self.world.remote.deactivate(NODE)
        self.world.remote.activate(NODE)
        rng = np.random.default_rng(0)
        camera = self.world.camera()
        make = camera.make

        def changing(now_ns):
            message = make(now_ns)
            message.data[0] = int(rng.integers(0, 256))
            return message

        camera.make = changing
        self.world.instruct('pick up the red block')
        self.status.wait(running, 'running')


def publishers(remote, inputs):
    return {
        name: remote.node.create_publisher(
            kind, name, qos.CAMERA if 'image' in name else qos.LATCHED
        )
        for name, kind in inputs.items()
    }


def nonsense(rng, name, kind, *, now):
    """A bad message; mostly one that gets as far as the policy."""
    message = (plausible_image if 'image' in name else random_message)(rng, kind)
    if rng.random() < 0.8 and hasattr(message, 'header'):
        message.header.stamp = now
    if rng.random() < 0.8 and name == '/instruction':
        message.data = 'pick up the red block'
    return message


def send_nonsense(victim, inputs, rng, *, rounds=6):
    out = publishers(victim.world.remote, inputs)
    clock = victim.world.remote.node.get_clock()
    for _ in range(rounds):
        for _ in range(30):
            for name, kind in inputs.items():
                out[name].publish(nonsense(rng, name, kind, now=clock.now().to_msg()))
            time.sleep(0.02)
        victim.assert_well()


def send_damaged(victim, inputs, rng):
    """Truncated and overwritten CDR, strings that are no UTF-8 among them."""
    out = publishers(victim.world.remote, inputs)
    for _ in range(4):
        for _ in range(30):
            for name, kind in inputs.items():
                out[name].publish(damaged_bytes(rng, random_message(rng, kind)))
            time.sleep(0.005)
        victim.assert_well()


def test_random_messages_and_bytes_that_are_no_message(world):
    victim = Victim(world)
    inputs = victim.inputs()
    send_nonsense(victim, inputs, np.random.default_rng(1))
    send_damaged(victim, inputs, np.random.default_rng(2))
    victim.assert_works()


def test_random_messages_on_the_emergency_stop_too(world):
    victim = Victim(world)
    inputs = victim.inputs(stop=True)
    assert STOP in inputs
    send_nonsense(victim, inputs, np.random.default_rng(5))
    victim.status.wait(halted(PolicyStatus.REASON_EMERGENCY_STOP))
    assert not twist_vector(victim.twists.wait()).any()
    for name in inputs:  # whatever was said last is latched
        if name == STOP:
            latched = victim.world.remote.node.create_publisher(inputs[name], name, qos.LATCHED)
            latched.publish(inputs[name](data=False))
    victim.assert_works()


def test_random_compressed_images(world):
    victim = Victim(world, 'image_transport:=compressed')
    inputs = victim.inputs(image='/image/compressed')
    send_nonsense(victim, inputs, np.random.default_rng(6))


def test_random_parameters(world):
    """Every parameter, set over the services to values of every type."""
    victim = Victim(world)
    rng = np.random.default_rng(3)
    names = parameter_names(world)
    assert 'acceptance_threshold' in names
    answers = 0
    for round_number in range(120):
        changes = [
            Parameter(name=str(rng.choice(names)), value=random_message(rng, ParameterValue))
            for _ in range(int(rng.integers(1, 4)))
        ]
        for change in changes:
            change.value.type = int(rng.integers(0, 10))
        if round_number % 2:
            request = SetParameters.Request(parameters=changes)
            results = world.remote.call(SetParameters, f'{NODE}/set_parameters', request).results
        else:
            request = SetParametersAtomically.Request(parameters=changes)
            service = f'{NODE}/set_parameters_atomically'
            results = [world.remote.call(SetParametersAtomically, service, request).result]
        assert all(r.successful or r.reason for r in results)
        answers += len(results)
    assert answers >= 120
    victim.assert_well()


def test_random_goals_and_service_requests(world):
    """The action and the buttons: refused, carried out or cancelled, and it goes on."""
    victim = Victim(world)
    rng = np.random.default_rng(7)
    client = action_client(world.remote.node, ExecuteInstruction, 'execute_instruction')
    wait_for(client.server_is_ready, 'the action server')
    for round_number in range(25):
        goal = random_message(rng, ExecuteInstruction.Goal)
        if rng.random() < 0.5:
            goal.instruction = 'pick up the red block'
        sent = client.send_goal_async(goal)
        wait_for(sent.done, 'an answer to the goal')
        if sent.result().accepted and rng.random() < 0.5:
            sent.result().cancel_goal_async()
        service, kind = [('enable', SetBool), ('stop', Trigger), ('reset', Trigger)][
            round_number % 3
        ]
        request = random_message(rng, kind.Request)
        assert world.remote.call(kind, f'{NODE}/{service}', request).message
    enabled = world.remote.call(SetBool, f'{NODE}/enable', SetBool.Request(data=True))
    assert enabled.success, enabled.message
    victim.assert_well()
    client.destroy()
    victim.assert_works()


def parameter_names(world):
    from rcl_interfaces.srv import ListParameters

    response = world.remote.call(
        ListParameters, f'{NODE}/list_parameters', ListParameters.Request()
    )
    return list(response.result.names)


def test_a_flood_does_not_grow_the_node(world):
    """Ten thousand messages: what it keeps is the newest, not all of them."""
    victim = Victim(world)
    inputs = victim.inputs()
    flood = RemoteNode('flood', domain_id=world.domain_id)
    try:
        out = publishers(flood, inputs)
        rng = np.random.default_rng(4)
        messages = {
            name: [
                (plausible_image if 'image' in name else random_message)(rng, kind)
                for _ in range(20)
            ]
            for name, kind in inputs.items()
        }
        sizes = []
        for burst in range(4):
            for i in range(2500):
                for name, publisher in out.items():
                    publisher.publish(messages[name][i % 20])
            victim.assert_well()
            if burst:
                sizes.append(victim.process.memory_info().rss)
        assert max(sizes) - sizes[0] < 30 * 2**20
    finally:
        flood.close()
