# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Each way of telling a gripper what to do, and what ends it."""

import itertools
import sys
import types

import pytest
from action_msgs.msg import GoalStatus
from harness import FORWARD, ScriptedPolicy, halted
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from spec_vla_ros.msg import PolicyStatus
from std_msgs.msg import Bool, Float64
from std_srvs.srv import Trigger
from waiting import wait_for

from spec_vla_ros.ros import gripper_outputs, qos
from spec_vla_ros.ros.converters import to_time
from spec_vla_ros.ros.gripper_outputs import ActionOutput, make_gripper_output
from spec_vla_ros.settings.nodes import PolicySettings


@pytest.fixture
def client(monkeypatch):
    """The action client of every gripper that is made."""
    return FakeClient.installed(monkeypatch)


@pytest.fixture
def lasting(client):
    """One whose goals go on until they are cancelled."""
    client.ends = False
    return client


def start(world, policy, **parameters):
    """A node that moves, and a camera."""
    world.policy_node(lambda settings: policy, **parameters)
    world.camera()
    world.instruct('go')


@pytest.mark.dds
def test_positions_are_those_of_the_gripper(world):
    grippers = world.record(Float64, 'gripper_command')
    half = ScriptedPolicy(FORWARD * [1, 1, 1, 1, 1, 1, 0.25])
    start(world, half, gripper_open=0.08, gripper_closed=0.0)
    assert grippers.wait().data == pytest.approx(0.02)


@pytest.mark.dds
def test_the_action_needs_control_msgs(world, monkeypatch):
    monkeypatch.setitem(sys.modules, 'control_msgs', None)
    made = []
    world.policy_node(made.append, active=False, gripper_type='action')
    assert not world.remote.configure('/spec_vla')
    assert world.remote.state('/spec_vla') == 'unconfigured'
    assert not made  # the weights were not read for it


def test_a_goal_goes_out_when_the_opening_changes(client):
    settings = PolicySettings(gripper_type='action', gripper_open=0.04, gripper_max_effort=20.0)
    gripper = ActionOutput(FakeNode(), settings)
    action = '/hand/gripper_cmd (control_msgs/action/GripperCommand)'
    assert gripper.in_words() == f'goals of the action {action}, 0 closed to 0.04 open'
    for opening in (1.0, 1.0, 0.99, 0.0, 0.01):
        gripper.command(opening)
    assert client.goals == [(0.04, 20.0), (0.0, 20.0)]


def test_goals_in_the_units_of_nobody_are_warned_of(client):
    """Many grippers are open at 0: they would close where the policy opens."""
    node = FakeNode()
    for said in ({'gripper_open': 0.04}, {'gripper_closed': 0.8, 'gripper_open': 0.0}):
        make_gripper_output(node, PolicySettings(gripper_type='parallel_action', **said))
    assert not node.warnings
    make_gripper_output(node, PolicySettings(gripper_type='parallel_action'))
    (text,) = node.warnings
    assert 'gripper_closed 0 and gripper_open 1 are the defaults' in text
    assert 'set both as its controller takes them' in text


@pytest.mark.parametrize(
    ('said', 'warned'),
    [
        ({'gripper_type': 'action'}, True),
        ({'gripper_type': 'action', 'gripper_max_effort': 20.0}, False),
        ({'gripper_type': 'parallel_action'}, False),
        ({'gripper_type': 'position'}, False),
    ],
)
def test_goals_without_an_effort_are_warned_of(client, said, warned):
    """Controllers of efforts take 0 as it is, and move nothing; a parallel goal leaves it out."""
    node = FakeNode()
    node.create_lifecycle_publisher = lambda *given: types.SimpleNamespace(topic_name='gripper')
    make_gripper_output(node, PolicySettings(gripper_open=0.04, **said))
    assert [text[:20] for text in node.warnings] == ['gripper_max_effort 0'] * warned


@pytest.mark.parametrize(('effort', 'sent'), [(20.0, [20.0]), (0.0, [])])
def test_a_parallel_gripper_gets_a_joint_state(client, effort, sent):
    settings = PolicySettings(
        gripper_type='parallel_action', gripper_open=0.04, gripper_max_effort=effort
    )
    gripper = ActionOutput(FakeNode(), settings)
    for opening in (1.0, 0.99, 0.0):
        gripper.command(opening)
    commands = [(list(c.position), list(c.effort)) for c in client.commands]
    assert commands == [([0.04], sent), ([0.0], sent)]


def test_an_action_that_control_msgs_does_not_have_is_named(client, monkeypatch):
    monkeypatch.delattr(sys.modules['control_msgs.action'], 'ParallelGripperCommand')
    with pytest.raises(ValueError, match='needs ParallelGripperCommand'):
        ActionOutput(FakeNode(), PolicySettings(gripper_type='parallel_action'))


def test_a_server_of_the_other_type_is_told(client, monkeypatch):
    client.ready = False
    node = FakeNode()
    other = 'control_msgs/action/ParallelGripperCommand'
    monkeypatch.setattr(
        gripper_outputs,
        'get_action_names_and_types',
        lambda n: [('/hand/gripper_cmd', [other])],
    )
    ActionOutput(node, PolicySettings(gripper_type='action')).command(1.0)
    assert f'/hand/gripper_cmd is an action {other}, not control_msgs' in node.warnings[0]
    assert 'gripper_type' in node.warnings[0]


def test_it_is_told_again_when_it_was_not_there_or_rejected(client, monkeypatch):
    monkeypatch.setattr(gripper_outputs, 'get_action_names_and_types', lambda node: [])
    gripper = ActionOutput(FakeNode(), PolicySettings(gripper_type='action'))
    client.ready = False
    gripper.command(1.0)
    assert client.goals == []
    client.ready, client.accepts = True, False
    gripper.command(1.0)
    gripper.command(1.0)
    assert client.goals == [(1.0, 0.0)] * 2
    client.accepts = True
    gripper.command(1.0)
    gripper.command(1.0)
    assert client.goals == [(1.0, 0.0)] * 3


def test_a_server_that_was_started_anew_is_told_the_same_opening(client, monkeypatch):
    """It knows nothing of the last goal, and a gripper that is switched on may open."""
    monkeypatch.setattr(gripper_outputs, 'get_action_names_and_types', lambda node: [])
    gripper = ActionOutput(node := FakeNode(), PolicySettings(gripper_type='action'))
    gripper.command(0.0)
    client.ready = False
    gripper.command(0.0)
    assert 'has no server' in node.warnings[-1]
    client.ready = True
    gripper.command(0.0)
    gripper.command(0.0)
    assert client.goals == [(0.0, 0.0)] * 2


def test_after_a_halt_the_same_opening_is_a_new_goal(client):
    gripper = ActionOutput(FakeNode(), PolicySettings(gripper_type='action'))
    gripper.command(1.0)
    client.ends = False
    for _ in range(3):
        gripper.hold(at_once=False)
    assert client.goals == [(1.0, 0.0)]
    for _ in range(3):
        gripper.command(1.0)  # somebody may have moved it
    assert client.goals == [(1.0, 0.0)] * 2
    assert client.cancelled == 0  # what is gripped might come loose


@pytest.mark.dds
@pytest.mark.parametrize('halt', ['cancelled', 'inactive', 'emergency'])
def test_after_a_halt_the_goal_is_sent_again_and_an_emergency_ends_it(world, lasting, halt):
    status = world.record(PolicyStatus, 'status', qos.LATCHED)
    start(world, ScriptedPolicy(), gripper_type='action')
    wait_for(lambda: lasting.goals, 'a goal')
    if halt == 'inactive':
        assert world.remote.deactivate('/spec_vla')
        assert world.remote.activate('/spec_vla')
    elif halt == 'cancelled':
        world.instruct('')
        status.wait(halted(PolicyStatus.REASON_NO_INSTRUCTION))
    else:
        publisher = world.remote.node.create_publisher(Bool, 'emergency_stop', 10)
        wait_for(publisher.get_subscription_count, 'the emergency stop to be heard')
        publisher.publish(Bool(data=True))
        wait_for(lambda: lasting.cancelled, 'it to be cancelled')
        assert world.remote.call(Trigger, '/spec_vla/reset', Trigger.Request()).success
    assert lasting.goals == [(1.0, 0.0)] or halt == 'inactive'
    world.instruct('go')
    wait_for(lambda: len(lasting.goals) == 2, 'the goal again')
    assert lasting.cancelled == (halt == 'emergency')


@pytest.mark.dds
@pytest.mark.parametrize('state', ['dry', 'inactive', 'no clock'])
def test_an_emergency_ends_the_goal_in_whatever_state(world, lasting, state):
    status = world.record(PolicyStatus, 'status', qos.LATCHED)
    clock = world.remote.node.create_publisher(Clock, '/clock', qos.COMMAND)
    times = itertools.count(1_000_000_000, 20_000_000)
    ticking = world.remote.node.create_timer(
        0.02, lambda: clock.publish(Clock(clock=to_time(next(times))))
    )
    world.policy_node(
        lambda settings: ScriptedPolicy(), gripper_type='action', use_sim_time=state == 'no clock'
    )
    camera = world.camera()
    camera.make = lambda now_ns, make=camera.make: make(0)  # stamped by no clock
    world.instruct('go')
    wait_for(lambda: lasting.goals, 'a goal')
    if state == 'dry':
        assert world.remote.set_parameters('/spec_vla', {'dry_run': True}).successful
    elif state == 'inactive':
        assert world.remote.deactivate('/spec_vla')
    else:
        ticking.cancel()
        status.wait(halted(PolicyStatus.REASON_CLOCK_STOPPED))
    assert not lasting.cancelled
    publisher = world.remote.node.create_publisher(Bool, 'emergency_stop', qos.LATCHED)
    publisher.publish(Bool(data=True))
    wait_for(lambda: lasting.cancelled, 'it to be cancelled')


@pytest.mark.parametrize('answered', [True, False])
def test_a_goal_that_runs_is_cancelled_once(client, answered):
    node = FakeNode()
    gripper = ActionOutput(node, PolicySettings(gripper_type='action'))
    client.ends, client.answers = False, answered
    gripper.command(0.0)
    for _ in range(3):
        gripper.hold(at_once=True)
    client.answer()  # may come when it is held already
    gripper.hold(at_once=True)
    assert client.cancelled == 1
    gripper.command(0.0)
    client.answer()
    assert client.goals == [(0.0, 0.0)] * 2
    assert client.cancelled == 1
    assert not node.warnings


def test_a_halt_after_an_emergency_cancels_what_is_taken_late(client):
    gripper = ActionOutput(FakeNode(), PolicySettings(gripper_type='action'))
    client.ends, client.answers = False, False
    gripper.command(0.0)
    gripper.hold(at_once=True)
    gripper.hold(at_once=False)  # deactivated before the answer
    client.answer()
    assert client.cancelled == 1


def test_a_goal_that_is_rejected_during_a_halt_is_not_told_to_be_sent_again(client):
    node = FakeNode()
    gripper = ActionOutput(node, PolicySettings(gripper_type='action'))
    client.answers, client.accepts = False, False
    gripper.command(0.0)
    gripper.hold(at_once=False)
    client.answer()
    assert not node.warnings


def test_a_goal_that_was_given_up_is_sent_again(client):
    node = FakeNode()
    gripper = ActionOutput(node, PolicySettings(gripper_type='action'))
    client.status = GoalStatus.STATUS_ABORTED
    gripper.command(0.0)
    assert 'gave its goal up' in node.warnings[0]
    client.stalled = True  # at what it holds
    for _ in range(3):
        gripper.command(0.0)
    assert client.goals == [(0.0, 0.0)] * 2
    assert len(node.warnings) == 1


def test_a_goal_that_is_given_up_again_and_again_is_left_until_another(client):
    """Some hands give up at what they hold, and may drop it for the same goal once more."""
    client.status = GoalStatus.STATUS_ABORTED
    node = FakeNode()
    gripper = ActionOutput(node, PolicySettings(gripper_type='action', gripper_max_effort=20.0))
    for _ in range(9):
        gripper.command(0.0)
    assert len(client.goals) == 3
    assert len(node.warnings) == 2
    (text,) = node.errors
    assert 'gave its goal up 3 times: it is not sent again before the opening changes' in text
    for opening in (1.0, 1.0, 0.0):
        gripper.command(opening)
    assert [position for position, _ in client.goals[3:]] == [1.0, 1.0, 0.0]
    gripper.hold(at_once=False)
    for _ in range(9):
        gripper.command(0.0)
    assert len(client.goals) == 9


class FakeNode:
    def __init__(self):
        self.warnings, self.errors = [], []

    def get_logger(self):
        return types.SimpleNamespace(
            warning=lambda text, **options: self.warnings.append(text), error=self.errors.append
        )

    def resolve_service_name(self, name):
        return f'/hand/{name}'


class FakeClient:
    """An action client whose server answers at once; control_msgs is not among the wheels."""

    def __init__(self):
        self.commands, self.ready, self.accepts = [], True, True
        self.status, self.stalled = GoalStatus.STATUS_SUCCEEDED, False
        self.answers, self.ends = True, True  # whether at once
        self.cancelled = 0
        self._unanswered = []

    @classmethod
    def installed(cls, monkeypatch):
        client = cls()
        command = types.SimpleNamespace
        action = types.ModuleType('control_msgs.action')
        action.GripperCommand = types.SimpleNamespace(
            Goal=lambda: types.SimpleNamespace(command=command(position=0.0, max_effort=0.0))
        )
        action.ParallelGripperCommand = types.SimpleNamespace(
            Goal=lambda: types.SimpleNamespace(command=JointState())
        )
        monkeypatch.setitem(sys.modules, 'control_msgs', types.ModuleType('control_msgs'))
        monkeypatch.setitem(sys.modules, 'control_msgs.action', action)
        monkeypatch.setattr(gripper_outputs, 'ActionClient', lambda *given: client)
        return client

    @property
    def goals(self):
        return [(command.position, command.max_effort) for command in self.commands]

    def destroy(self):
        pass

    def server_is_ready(self):
        return self.ready

    def send_goal_async(self, goal):
        self.commands.append(goal.command)
        result = types.SimpleNamespace(stalled=self.stalled)
        end = done(types.SimpleNamespace(status=self.status, result=result))
        if not self.ends:
            end = types.SimpleNamespace(add_done_callback=lambda callback: None)
        answer = types.SimpleNamespace(
            accepted=self.accepts, get_result_async=lambda: end, cancel_goal_async=self._cancel
        )
        if self.answers:
            return done(answer)
        return types.SimpleNamespace(
            add_done_callback=lambda callback: self._unanswered.append((callback, answer))
        )

    def answer(self):
        """Answer the goals that were not answered at once."""
        for callback, answer in self._unanswered:
            done(answer).add_done_callback(callback)
        self._unanswered.clear()

    def _cancel(self):
        self.cancelled += 1


def done(result):
    """A future that has its result."""
    future = types.SimpleNamespace(result=lambda: result)
    return types.SimpleNamespace(add_done_callback=lambda told: told(future))
