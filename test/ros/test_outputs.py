# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Each way of telling an arm what to do, over DDS."""

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, TwistStamped
from harness import FORWARD, ScriptedPolicy, halted, twist_vector, vector
from spec_vla_ros.msg import PolicyStatus, VlaAction
from std_msgs.msg import Float64
from waiting import wait_for, wait_for_line

from spec_vla_ros.ros import qos
from spec_vla_ros.ros.remote import RemoteNode
from spec_vla_ros.settings.nodes import PolicySettings

RATE = 30.0
SLOW = [0.4, 0.4, 0.4, 0.8, 0.8, 0.8]


def start(world, **parameters):
    """A node that moves, and topics it could command by."""
    world.policy_node(lambda settings: ScriptedPolicy(), **parameters)
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


def test_who_only_watches_is_nobody_who_takes_the_commands(world, stderr):
    world.record(Float64, 'gripper_command')
    echo = RemoteNode('_ros2cli_4711', domain_id=world.domain_id)
    try:
        echo.node.create_subscription(TwistStamped, 'delta_twist_cmds', lambda message: None, 10)
        start(world)
        assert 'subscribes to /delta_twist_cmds, so' in wait_for_line(stderr, 'nobody subscribes')
    finally:
        echo.close()


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
        arm.move([0.3, 0.2, 0.07])  # it sags; the target does not follow
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

    def test_whoever_publishes_actions_too_is_told(self, world):
        world.remote.node.create_publisher(VlaAction, 'action', qos.COMMAND)
        status = world.record(PolicyStatus, 'status', qos.LATCHED)
        start(world, command_type='message', gripper_type='none')
        found = status.wait(lambda s: s.not_heard).not_heard
        assert found[0].endswith(' publishes on /action, too: it would be obeyed as well')

    def test_the_action_is_within_the_limits(self, world, actions, stderr):
        limits = {'max_velocity': [0.05] * 6, 'max_acceleration': [0.1] * 6, 'gripper_max': 0.5}
        start(world, command_type='message', gripper_type='none', **limits)
        found = actions.wait()
        moved = [*vector(found.delta_position), *vector(found.delta_rotation)]
        np.testing.assert_allclose(moved, np.clip(FORWARD[:6], -0.005, 0.005))
        assert found.gripper_opening == 0.5
        line = wait_for_line(stderr, 'max_acceleration')
        assert "has no effect: command_type is 'message'" in line
        line = wait_for_line(stderr, 'active: ')
        assert f'max_velocity {[0.05] * 6}, max_step_translation' in line
        assert 'gripper_max' not in stderr()  # which has an effect
