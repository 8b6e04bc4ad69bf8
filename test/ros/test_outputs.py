# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Each way of telling an arm and a gripper what to do, over DDS."""

import sys
import types

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from geometry_msgs.msg import PoseStamped, TwistStamped
from harness import FORWARD, ScriptedPolicy, halted, twist_vector, vector
from sensor_msgs.msg import JointState
from spec_vla_ros.msg import PolicyStatus, VlaAction
from std_msgs.msg import Float64
from waiting import wait_for, wait_for_line

from spec_vla_ros.ros import gripper_outputs, qos
from spec_vla_ros.ros.gripper_outputs import ActionOutput
from spec_vla_ros.settings.nodes import PolicySettings

RATE = 30.0
SLOW = [0.4, 0.4, 0.4, 0.8, 0.8, 0.8]


def start(world, policy=None, **parameters):
    """A node that moves, and topics it could command by."""
    world.policy_node(lambda settings: policy or ScriptedPolicy(), **parameters)
    world.camera()
    world.instruct('go')


def test_the_log_says_what_an_active_node_will_command(world, stderr):
    limits = {'dry_run': True, 'max_velocity': SLOW, 'max_step_rotation': 0.25}
    box = {'workspace_min': [-0.1, -0.2, 0.0], 'workspace_max': [0.5, 0.25, 0.75]}
    frame = {'command_frame': 'arm_base'}
    world.policy_node(
        lambda settings: ScriptedPolicy(), name='/lab/spec_vla', **limits, **box, **frame
    )
    line = wait_for_line(stderr, 'active: ')
    for words in (
        "active: commands at 30 Hz on /lab/delta_twist_cmds in frame 'arm_base', dry_run true",
        f'max_velocity {SLOW}',
        'max_acceleration none',
        'max_step_rotation 0.25',
        'workspace [[-0.1, -0.2, 0.0], [0.5, 0.25, 0.75]]',
        'gripper: positions on /lab/gripper_command, 0 closed to 1 open',
    ):
        assert words in line


@pytest.mark.parametrize(
    ('command_type', 'topic'), [('pose', '/pose_target'), ('message', '/action')]
)
def test_the_log_names_the_topic_of_each_kind_of_command(world, stderr, command_type, topic):
    world.policy_node(lambda settings: ScriptedPolicy(), command_type=command_type)
    line = wait_for_line(stderr, 'active: ')
    assert f'commands at 30 Hz on {topic} in frame' in line
    assert 'dry_run false' in line
    assert 'workspace none' in line


def test_the_log_says_which_commands_nobody_subscribes_to(world, stderr):
    world.record(Float64, 'gripper_command')
    start(world)
    line = wait_for_line(stderr, 'nobody subscribes')
    assert '[WARN]' in line
    assert 'subscribes to /delta_twist_cmds, so' in line


def test_the_log_says_who_subscribes_on_another_topic(world, stderr):
    world.record(TwistStamped, '/servo_node/delta_twist_cmds')
    start(world, gripper_type='none')
    line = wait_for_line(stderr, 'nobody subscribes to')
    assert '(/observer subscribes to /servo_node/delta_twist_cmds): rename the topic' in line


def test_a_dry_run_needs_no_subscriber(world, stderr):
    actions = world.record(VlaAction, 'action')
    start(world, dry_run=True)
    wait_for(lambda: len(actions.messages) >= 3, 'three actions')
    assert 'nobody subscribes' not in stderr()


class Arm:
    """Says where its end effector is: always in the same place."""

    def __init__(self, world, frame_id='base_link'):
        self.position = [0.4, 0.1, 0.2]
        self.frame_id = frame_id
        self.silent = False
        self._said = 0
        self._publisher = world.remote.node.create_publisher(
            PoseStamped, 'end_effector_pose', qos.SENSOR_STATE
        )
        self._clock = world.remote.node.get_clock()
        world.remote.node.create_timer(1 / RATE, self._on_timer)

    def move(self, position):
        """Be there, and return when that has been said."""
        self.position = position
        said = self._said
        wait_for(lambda: self._said > said + 3, 'poses')  # the first may be of the old position

    def _on_timer(self):
        message = PoseStamped()
        message.header.stamp = self._clock.now().to_msg()
        message.header.frame_id = self.frame_id
        point = message.pose.position
        point.x, point.y, point.z = self.position
        message.pose.orientation.w = 1.0
        if not self.silent:
            self._publisher.publish(message)
        self._said += 1


@pytest.fixture
def actions(world):
    return world.record(VlaAction, 'action')


class TestTwists:
    pytestmark = pytest.mark.dds

    def test_unitless_twists_are_parts_of_the_fastest(self, world):
        twists = world.record(TwistStamped, 'delta_twist_cmds')
        start(world, twist_units='unitless', max_velocity=SLOW)
        found = twist_vector(twists.wait(lambda t: twist_vector(t).any()))
        speeds = np.clip(FORWARD[:6] / 0.1, -np.array(SLOW), SLOW)
        np.testing.assert_allclose(found, speeds / ([0.4] * 3 + [0.8] * 3))

    def test_faster_than_unitless_twists_can_say_is_refused(self):
        with pytest.raises(ValueError, match=r'max_velocity: .* is above \(0.4, 0.4'):
            PolicySettings(twist_units='unitless')
        PolicySettings(twist_units='unitless', command_type='pose')


class TestPoses:
    pytestmark = pytest.mark.dds

    def test_targets_start_at_the_arm_and_end_at_the_delta(self, world, actions):
        arm = Arm(world)
        targets = world.record(PoseStamped, 'pose_target')
        twists = world.record(TwistStamped, 'delta_twist_cmds')
        start(world, command_type='pose', step_duration=0.2)
        wait_for(lambda: len(actions.messages) >= 3, 'three actions')
        offsets = [
            vector(m.pose.position) - arm.position for m in list(targets.messages) if m is not None
        ]
        np.testing.assert_allclose(offsets[0], FORWARD[:3] / 6, atol=1e-9)  # six ticks a step
        furthest = max(offsets, key=np.linalg.norm)
        np.testing.assert_allclose(furthest, FORWARD[:3], atol=1e-9)
        turned = targets.messages[5].pose.orientation
        np.testing.assert_allclose(
            2 * np.array([turned.x, turned.y, turned.z]), FORWARD[3:6], rtol=1e-2
        )
        assert {m.header.frame_id for m in targets.messages} == {'base_link'}
        assert not twists.messages

    def test_a_halt_sets_the_target_to_where_the_arm_is(self, world, actions):
        arm = Arm(world)
        targets = world.record(PoseStamped, 'pose_target')
        status = world.record(PolicyStatus, 'status', qos.LATCHED)
        start(world, command_type='pose', step_duration=5.0)
        wait_for(lambda: len(targets.messages) > 10, 'a motion')
        arm.move([0.3, 0.2, 0.1])
        world.instruct('')
        status.wait(halted(PolicyStatus.REASON_NO_INSTRUCTION))
        held = targets.wait()
        np.testing.assert_allclose(vector(held.pose.position), arm.position)
        arm.move([0.0, 0.0, 0.0])  # it sags; the target does not follow
        count = len(targets.messages)
        wait_for(lambda: len(targets.messages) > count + 10, 'more targets')
        assert targets.last.pose == held.pose

    def test_targets_stay_in_the_workspace_however_far_the_arm_lags(self, world, actions):
        arm = Arm(world)
        targets = world.record(PoseStamped, 'pose_target')
        status = world.record(PolicyStatus, 'status', qos.LATCHED)
        x = arm.position[0]
        box = {'workspace_min': [-1.0] * 3, 'workspace_max': [x + 0.005, 1.0, 1.0]}
        start(world, command_type='pose', detect_frozen_image=False, **box)
        wait_for(lambda: len(actions.messages) >= 5, 'five actions')
        furthest = max(m.pose.position.x for m in targets.messages)
        assert furthest == pytest.approx(x + 0.005)
        wait_for(lambda: status.last.workspace_clamps >= 5, 'the count')

    def test_deactivation_ends_with_where_the_arm_is(self, world, actions):
        arm = Arm(world)
        targets = world.record(PoseStamped, 'pose_target')
        start(world, command_type='pose', step_duration=5.0)
        wait_for(lambda: len(targets.messages) > 10, 'a motion')
        assert world.remote.deactivate('/spec_vla')
        wait_for(
            lambda: np.allclose(vector(targets.last.pose.position), arm.position),
            'the last target to be the pose',
        )

    def test_a_pose_that_is_refused_sets_no_target(self, world, actions):
        arm = Arm(world)
        targets = world.record(PoseStamped, 'pose_target')
        status = world.record(PolicyStatus, 'status', qos.LATCHED)
        start(world, command_type='pose', step_duration=5.0)
        wait_for(lambda: len(targets.messages) > 10, 'a motion')
        arm.move([400.0, 100.0, 200.0])  # in millimetres, as of another arm's driver
        status.wait(halted(PolicyStatus.REASON_POSE_MISSING))
        count = len(targets.messages)
        wait_for(lambda: len(targets.messages) > count + 5, 'targets of the halt')
        assert world.remote.deactivate('/spec_vla')
        wait_for(lambda: status.last.state == PolicyStatus.STATE_INACTIVE, 'the end')
        furthest = max(np.abs(vector(m.pose.position)).max() for m in targets.messages)
        assert furthest < 0.5

    @pytest.mark.parametrize('pause', ['inactive', 'dry run'])
    def test_what_comes_first_after_a_pause_is_where_the_arm_is(self, world, actions, pause):
        arm = Arm(world)
        targets = world.record(PoseStamped, 'pose_target')
        status = world.record(PolicyStatus, 'status', qos.LATCHED)
        start(world, command_type='pose', step_duration=5.0)
        wait_for(lambda: len(targets.messages) > 10, 'a motion')
        world.instruct('')
        status.wait(halted(PolicyStatus.REASON_NO_INSTRUCTION))
        remote, count = world.remote, len(targets.messages)
        wait_for(lambda: len(targets.messages) > count, 'a target of the halt')
        if pause == 'inactive':
            assert remote.deactivate('/spec_vla')
        else:
            assert remote.set_parameters('/spec_vla', {'dry_run': True}).successful
        arm.move([0.9, 0.1, 0.2])  # by hand
        count = len(targets.messages)
        if pause == 'inactive':
            assert remote.activate('/spec_vla')
        else:
            assert remote.set_parameters('/spec_vla', {'dry_run': False}).successful
        status.wait(halted(PolicyStatus.REASON_NO_INSTRUCTION))
        world.instruct('go')
        wait_for(lambda: len(targets.messages) > count + 5, 'targets')
        assert min(m.pose.position.x for m in targets.messages[count:]) > 0.89

    @pytest.mark.parametrize('frame', [None, 'tool0'])
    def test_without_a_pose_in_the_command_frame_nothing_moves(self, world, frame):
        if frame is not None:
            Arm(world, frame_id=frame)
        targets = world.record(PoseStamped, 'pose_target')
        status = world.record(PolicyStatus, 'status', qos.LATCHED)
        start(world, command_type='pose')
        found = status.wait(halted(PolicyStatus.REASON_POSE_MISSING))
        assert 'pose' in found.reason_text
        assert not targets.messages

    def test_a_pose_that_falls_silent_halts(self, world, actions):
        arm = Arm(world)
        status = world.record(PolicyStatus, 'status', qos.LATCHED)
        start(world, command_type='pose')
        actions.wait()
        arm.silent = True
        status.wait(halted(PolicyStatus.REASON_POSE_MISSING))


class TestMessageOnly:
    pytestmark = pytest.mark.dds

    def test_nobody_is_told_anything_but_the_action(self, world, actions):
        twists = world.record(TwistStamped, 'delta_twist_cmds')
        targets = world.record(PoseStamped, 'pose_target')
        grippers = world.record(Float64, 'gripper_command')
        start(world, command_type='message', gripper_type='none')
        wait_for(lambda: len(actions.messages) >= 3, 'three actions')
        assert not twists.messages
        assert not targets.messages
        assert not grippers.messages


class TestGripper:
    @pytest.mark.dds
    def test_positions_are_those_of_the_gripper(self, world):
        grippers = world.record(Float64, 'gripper_command')
        half = ScriptedPolicy(FORWARD * [1, 1, 1, 1, 1, 1, 0.25])
        start(world, half, gripper_open=0.08, gripper_closed=0.0)
        assert grippers.wait().data == pytest.approx(0.02)

    @pytest.mark.dds
    def test_the_action_needs_control_msgs(self, world, monkeypatch):
        monkeypatch.setitem(sys.modules, 'control_msgs', None)
        world.policy_node(lambda settings: ScriptedPolicy(), active=False, gripper_type='action')
        assert not world.remote.configure('/spec_vla')
        assert world.remote.state('/spec_vla') == 'unconfigured'

    def test_a_goal_goes_out_when_the_opening_changes(self, monkeypatch):
        client = FakeClient.installed(monkeypatch)
        settings = PolicySettings(
            gripper_type='action', gripper_open=0.04, gripper_max_effort=20.0
        )
        gripper = ActionOutput(FakeNode(), settings)
        action = '/hand/gripper_cmd (control_msgs/action/GripperCommand)'
        assert gripper.in_words() == f'goals of the action {action}, 0 closed to 0.04 open'
        for opening in (1.0, 1.0, 0.99, 0.0, 0.01):
            gripper.command(opening)
        assert client.goals == [(0.04, 20.0), (0.0, 20.0)]

    @pytest.mark.parametrize(('effort', 'sent'), [(20.0, [20.0]), (0.0, [])])
    def test_a_parallel_gripper_gets_a_joint_state(self, monkeypatch, effort, sent):
        client = FakeClient.installed(monkeypatch)
        settings = PolicySettings(
            gripper_type='parallel_action', gripper_open=0.04, gripper_max_effort=effort
        )
        gripper = ActionOutput(FakeNode(), settings)
        for opening in (1.0, 0.99, 0.0):
            gripper.command(opening)
        commands = [(list(c.position), list(c.effort)) for c in client.commands]
        assert commands == [([0.04], sent), ([0.0], sent)]

    def test_an_action_that_control_msgs_does_not_have_is_named(self, monkeypatch):
        FakeClient.installed(monkeypatch)
        monkeypatch.delattr(sys.modules['control_msgs.action'], 'ParallelGripperCommand')
        with pytest.raises(ValueError, match='needs ParallelGripperCommand'):
            ActionOutput(FakeNode(), PolicySettings(gripper_type='parallel_action'))

    def test_a_server_of_the_other_type_is_told(self, monkeypatch):
        client = FakeClient.installed(monkeypatch)
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

    def test_it_is_told_again_when_it_was_not_there_or_rejected(self, monkeypatch):
        client = FakeClient.installed(monkeypatch)
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

    def test_a_goal_that_was_given_up_is_sent_again(self, monkeypatch):
        client = FakeClient.installed(monkeypatch)
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


class FakeNode:
    def __init__(self):
        self.warnings = []

    def get_logger(self):
        return types.SimpleNamespace(warning=lambda text, **options: self.warnings.append(text))

    def resolve_service_name(self, name):
        return f'/hand/{name}'


class FakeClient:
    """An action client whose server answers at once; control_msgs is not among the wheels."""

    def __init__(self):
        self.commands, self.ready, self.accepts = [], True, True
        self.status, self.stalled = GoalStatus.STATUS_SUCCEEDED, False

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

    def server_is_ready(self):
        return self.ready

    def send_goal_async(self, goal):
        self.commands.append(goal.command)
        result = types.SimpleNamespace(stalled=self.stalled)
        end = done(types.SimpleNamespace(status=self.status, result=result))
        answer = types.SimpleNamespace(accepted=self.accepts, get_result_async=lambda: end)
        return done(answer)


def done(result):
    """A future that has its result."""
    future = types.SimpleNamespace(result=lambda: result)
    return types.SimpleNamespace(add_done_callback=lambda told: told(future))
