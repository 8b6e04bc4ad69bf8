# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The policy node over DDS, with a scripted policy: what it publishes, and when it halts."""

import threading
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from harness import FORWARD, STILL_IMAGE, ScriptedPolicy, halted, running, twist_vector, vector
from rclpy.lifecycle import TransitionCallbackReturn
from sensor_msgs.msg import CompressedImage
from spec_vla_ros.msg import DecodeStatistics, PolicyStatus, VlaAction
from std_msgs.msg import Float64
from std_srvs.srv import SetBool
from waiting import PATIENCE, wait_for, wait_for_line

from spec_vla_ros.ros import configured, policy_node, qos
from spec_vla_ros.ros.converters import rgb_to_compressed, rgb_to_image, to_nanoseconds

pytestmark = pytest.mark.dds
RATE = 30.0
PATIENT = {'image_timeout': 10.0, 'inference_timeout': 100.0}  # where no time limit is tested


class Topics:
    """What the policy node publishes."""

    def __init__(self, world, prefix=''):
        self.twists = world.record(TwistStamped, f'{prefix}delta_twist_cmds')
        self.grippers = world.record(Float64, f'{prefix}gripper_command')
        self.actions = world.record(VlaAction, f'{prefix}action')
        self.status = world.record(PolicyStatus, f'{prefix}status', qos.LATCHED)


@pytest.fixture
def policy():
    return ScriptedPolicy()


@pytest.fixture
def topics(world):
    return Topics(world)


def moving(twist):
    return bool(twist_vector(twist).any())


def test_image_and_instruction_in_commands_out(world, topics, policy):
    world.policy_node(lambda settings: policy, **PATIENT)
    world.camera()
    world.instruct('pick up the red block')
    action = topics.actions.wait()
    twist = topics.twists.wait(moving)

    assert action.instruction == 'pick up the red block'
    assert action.header.frame_id == twist.header.frame_id == 'base_link'
    np.testing.assert_allclose(vector(action.delta_position), FORWARD[:3])
    np.testing.assert_allclose(vector(action.delta_rotation), FORWARD[3:6])
    assert action.gripper_opening == 1.0
    assert action.step_duration == pytest.approx(0.1)
    assert action.decode_mode == 'scripted'
    assert action.target_passes == 7
    assert 0 < to_nanoseconds(action.observation_stamp) < to_nanoseconds(action.header.stamp)
    assert action.latency_ms >= action.inference_ms > 0
    np.testing.assert_allclose(twist_vector(twist), FORWARD[:6] / 0.1)
    assert topics.grippers.wait().data == 1.0
    np.testing.assert_array_equal(policy.observations[0].image[1:], STILL_IMAGE[1:])
    assert policy.observations[0].instruction == 'pick up the red block'
    assert running(topics.status.wait())


def test_each_delta_is_applied_exactly_once(world, topics):
    deltas = iter(np.linspace(1, 2, 5))

    def five_then_none(observation):
        return FORWARD * np.array([next(deltas, 0.0)] * 6 + [1])

    world.policy_node(lambda settings: ScriptedPolicy(five_then_none), **PATIENT)
    world.camera()
    world.instruct('go')
    wait_for(lambda: len(topics.actions.messages) >= 8, 'eight actions')
    commanded = sum(twist_vector(t) for t in list(topics.twists.messages)) / RATE
    np.testing.assert_allclose(commanded, FORWARD[:6] * np.linspace(1, 2, 5).sum(), rtol=1e-9)
    assert sum(map(moving, topics.twists.messages)) == 5 * 3
    sequence = [action.sequence for action in topics.actions.messages]
    assert sequence == list(range(1, len(sequence) + 1))


def test_commands_come_at_the_control_rate_while_it_moves(world, topics):
    """Though an action begins when it is inferred, between two ticks."""

    def slow(observation):
        time.sleep(0.05)  # so long that commands are due before the next action
        return FORWARD

    world.policy_node(lambda settings: ScriptedPolicy(slow), **PATIENT)
    world.camera(rate=47.0)  # out of step with the commands
    world.instruct('go')
    wait_for(lambda: len(topics.actions.messages) > 60, 'sixty actions')
    began, ended = (to_nanoseconds(topics.actions.messages[n].header.stamp) for n in (1, 60))
    stamps = [to_nanoseconds(t.header.stamp) for t in list(topics.twists.messages)]
    commands = [stamp for stamp in stamps if began <= stamp < ended]
    assert 1e9 * len(commands) / (ended - began) < RATE + 0.75


def test_the_next_observation_is_taken_after_the_motion(world, topics, policy):
    world.policy_node(lambda settings: policy, **PATIENT)
    world.camera()
    world.instruct('go')
    wait_for(lambda: len(topics.actions.messages) >= 4, 'four actions')
    for action in topics.actions.messages[1:4]:
        seen = to_nanoseconds(action.observation_stamp)
        before = [t for t in topics.twists.messages if to_nanoseconds(t.header.stamp) <= seen]
        assert not moving(before[-1])


def test_stale_image_halts_and_a_new_one_resumes(world, topics, policy):
    world.policy_node(lambda settings: policy, **PATIENT)
    camera = world.camera()
    world.instruct('go')
    topics.twists.wait(moving)
    camera.covered = True
    assert world.remote.set_parameters('/spec_vla', {'image_timeout': 1.0}).successful
    status = topics.status.wait(halted(PolicyStatus.REASON_STALE_IMAGE))
    assert 'image_timeout=1.0' in status.reason_text
    halted_at = to_nanoseconds(status.header.stamp)
    count = len(topics.twists.messages)
    wait_for(lambda: len(topics.twists.messages) > count + 10, 'zero twists at control rate')
    late = [t for t in topics.twists.messages if to_nanoseconds(t.header.stamp) >= halted_at]
    assert late
    assert not any(map(moving, late))
    seen = len(topics.status.messages)
    camera.covered = False
    topics.twists.wait(moving)
    resumed = wait_for(lambda: next(filter(running, topics.status.messages[seen:]), None), 'that')
    assert resumed.halts == 1


def test_no_instruction_halts_and_an_empty_one_cancels(world, topics, policy):
    world.policy_node(lambda settings: policy)
    world.camera()
    topics.status.wait(halted(PolicyStatus.REASON_NO_INSTRUCTION))
    assert not policy.observations
    instruction = world.instruct('go')
    topics.twists.wait(moving)
    instruction.publish(instruction.msg_type(data=''))
    topics.status.wait(halted(PolicyStatus.REASON_NO_INSTRUCTION))
    assert not moving(topics.twists.wait())


def test_a_huge_instruction_is_refused_with_a_reason(world, topics, policy):
    world.policy_node(lambda settings: policy)
    world.camera()
    world.instruct('please ' * 1000)
    status = topics.status.wait(halted(PolicyStatus.REASON_BAD_INSTRUCTION))
    assert 'characters' in status.reason_text
    assert not policy.observations


def test_another_instruction_that_is_refused_is_in_the_log_too(world, topics, stderr):
    world.policy_node(lambda settings: ScriptedPolicy())
    world.instruct('stop')
    wait_for_line(stderr, "halted: the instruction is 'stop'")
    world.instruct('halt')
    wait_for_line(stderr, "halted: the instruction is 'halt'")


def test_an_instruction_change_discards_the_running_inference(world, topics, policy):
    policy.open.clear()
    world.policy_node(lambda settings: policy, **PATIENT)
    world.camera()
    instruction = world.instruct('old')
    wait_for(lambda: policy.observations, 'the inference to begin')
    instruction.publish(instruction.msg_type(data='new'))
    topics.status.wait(lambda s: s.instruction == 'new')
    policy.open.set()
    topics.actions.wait()
    assert {action.instruction for action in topics.actions.messages} == {'new'}
    assert [o.instruction for o in policy.observations[:2]] == ['old', 'new']
    assert policy.resets == 2
    assert topics.status.wait().results_discarded == 1


def test_an_inference_that_hangs_halts_and_recovers(world, topics, policy):
    world.policy_node(lambda settings: policy, image_timeout=10.0, inference_timeout=0.2)
    world.camera()
    world.instruct('go')
    topics.twists.wait(moving)
    policy.open.clear()
    status = topics.status.wait(halted(PolicyStatus.REASON_INFERENCE_TIMEOUT))
    assert 'inference_timeout=0.2' in status.reason_text
    assert not moving(topics.twists.wait())
    policy.open.set()
    topics.twists.wait(moving)
    status = topics.status.wait(running)
    assert status.inference_timeouts >= 1
    assert status.results_discarded >= 1


@pytest.mark.parametrize(
    ('action', 'reason', 'words'),
    [
        (FORWARD * np.array([np.nan] + [1] * 6), 'ACTION_REJECTED', 'not finite'),
        (FORWARD * np.array([10] * 6 + [1]), 'ACTION_REJECTED', 'max_step_translation'),
        (lambda observation: 1 / 0, 'INFERENCE_ERROR', 'ZeroDivisionError'),
    ],
)
def test_a_bad_action_halts_and_never_moves(world, topics, action, reason, words):
    policy = ScriptedPolicy(action)
    world.policy_node(lambda settings: policy, **PATIENT)
    world.camera()
    world.instruct('go')
    status = topics.status.wait(halted(getattr(PolicyStatus, f'REASON_{reason}')))
    assert words in status.reason_text
    wait_for(lambda: len(policy.observations) > 3, 'more trials')
    assert not any(map(moving, topics.twists.messages))
    assert not topics.actions.messages
    policy.action = FORWARD
    topics.twists.wait(moving)
    status = topics.status.wait(running)
    assert status.actions_rejected + status.inference_errors >= 3


def test_an_unreadable_image_halts_with_the_reason(world, topics, policy):
    def depth(now_ns):
        message = rgb_to_image(STILL_IMAGE, stamp_ns=now_ns, frame_id='camera')
        message.encoding = '32FC1'
        return message

    world.policy_node(lambda settings: policy)
    camera = world.camera()
    camera.make = depth
    world.instruct('go')
    status = topics.status.wait(halted(PolicyStatus.REASON_INFERENCE_ERROR))
    assert "encoding '32FC1' is not understood" in status.reason_text


def test_images_from_the_past_halt(world, topics, policy):
    world.policy_node(lambda settings: policy)
    camera = world.camera()
    camera.make = lambda now_ns: rgb_to_image(
        STILL_IMAGE, stamp_ns=now_ns - 3_000_000_000, frame_id='camera'
    )
    world.instruct('go')
    status = topics.status.wait(halted(PolicyStatus.REASON_STALE_IMAGE))
    assert 'in the past' in status.reason_text


def test_compressed_images(world, topics, policy):
    world.policy_node(lambda settings: policy, image_transport='compressed')
    publisher = world.remote.node.create_publisher(CompressedImage, 'image/compressed', qos.CAMERA)
    clock = world.remote.node.get_clock()
    world.remote.node.create_timer(
        1 / RATE,
        lambda: publisher.publish(
            rgb_to_compressed(STILL_IMAGE, stamp_ns=clock.now().nanoseconds, frame_id='camera')
        ),
    )
    world.instruct('go')
    topics.actions.wait()
    difference = policy.observations[0].image.astype(int) - STILL_IMAGE
    assert np.abs(difference).max() <= 3  # JPEG


def test_dry_run_publishes_actions_but_no_commands(world, topics, policy):
    world.policy_node(lambda settings: policy, dry_run=True)
    world.camera()
    world.instruct('go')
    wait_for(lambda: len(topics.actions.messages) >= 3, 'three actions')
    assert world.remote.deactivate('/spec_vla')
    assert not topics.twists.messages
    assert not topics.grippers.messages


def test_a_dry_run_leaves_out_actions_that_are_acted_upon(world, topics, policy):
    statistics = world.record(DecodeStatistics, 'spec_vla/statistics')
    world.policy_node(lambda settings: policy, command_type='message', dry_run=True)
    world.camera()
    world.instruct('go')
    wait_for(lambda: len(statistics.messages) >= 3, 'three actions')
    assert not topics.actions.messages
    assert world.remote.set_parameters('/spec_vla', {'dry_run': False}).successful
    wait_for(lambda: topics.actions.messages, 'an action')


def test_a_configuration_that_fails_unforeseen_lets_go_of_the_policy(world, policy, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError('the middleware refuses a topic')

    monkeypatch.setattr(policy_node, 'Configured', fail)
    world.policy_node(lambda settings: policy, active=False)
    assert not world.remote.configure('/spec_vla')
    assert world.remote.state('/spec_vla') == 'unconfigured'
    # What is read when it is configured can be set again, so it waits for another try.
    assert world.remote.set_parameters('/spec_vla', {'control_rate': 20.0}).successful
    monkeypatch.undo()
    assert world.remote.configure('/spec_vla')


def test_a_configuration_that_fails_half_way_leaves_nothing_behind(world, policy, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError('the middleware refuses a topic')

    node = world.policy_node(lambda settings: policy, active=False)

    def made():
        kinds = (node.publishers, node.subscriptions, node.timers, node.services, node.waitables)
        threads = [thread.name for thread in threading.enumerate()]
        return [len(list(kind)) for kind in kinds], threads.count('inference')

    before = made()
    monkeypatch.setattr(configured, 'ExecuteServer', fail)
    assert not world.remote.configure('/spec_vla')
    wait_for(lambda: made() == before, 'all that was made to be gone')
    monkeypatch.undo()
    assert world.remote.configure('/spec_vla')


def test_enabling_says_when_the_transition_fails(world, policy, monkeypatch):
    node = world.policy_node(lambda settings: policy, active=False)
    assert world.remote.configure('/spec_vla')
    monkeypatch.setattr(node, 'trigger_activate', lambda: TransitionCallbackReturn.FAILURE)
    answer = world.remote.call(SetBool, '/spec_vla/enable', SetBool.Request(data=True))
    assert not answer.success
    assert 'failed' in answer.message


def test_a_dry_run_begins_with_a_zero_twist(world, topics, policy):
    world.policy_node(lambda settings: policy, step_duration=5.0, **PATIENT)
    world.camera()
    world.instruct('go')
    topics.twists.wait(moving)
    assert world.remote.set_parameters('/spec_vla', {'dry_run': True}).successful
    wait_for(lambda: not moving(topics.twists.last), 'the stop')
    count = len(topics.twists.messages)
    topics.status.wait()
    assert len(topics.twists.messages) == count
    assert world.remote.set_parameters('/spec_vla', {'dry_run': False}).successful
    topics.twists.wait(moving)


def test_an_inactive_node_tells_which_instruction_it_will_begin_with(world, topics, policy):
    world.policy_node(lambda settings: policy, active=False)
    assert world.remote.configure('/spec_vla')
    world.instruct('go')
    wait_for(lambda: topics.status.last and topics.status.last.instruction == 'go', 'the status')
    assert topics.status.last.state == PolicyStatus.STATE_INACTIVE


def test_deactivation_ends_with_a_zero_twist(world, topics, policy):
    world.policy_node(lambda settings: policy)
    world.camera()
    world.instruct('go')
    for _ in range(3):
        topics.twists.wait(moving)
        assert world.remote.deactivate('/spec_vla')
        wait_for(lambda: topics.status.last.state == PolicyStatus.STATE_INACTIVE)
        inactive_since = to_nanoseconds(topics.status.last.header.stamp)
        wait_for(
            lambda since=inactive_since: to_nanoseconds(topics.twists.last.header.stamp) >= since,
            'the last twist',
        )
        assert to_nanoseconds(topics.twists.last.header.stamp) == inactive_since
        assert not moving(topics.twists.last)
        assert world.remote.activate('/spec_vla')


def test_namespace_and_remapping(world, policy):
    topics = Topics(world, prefix='/left_arm/')
    world.policy_node(lambda settings: policy, name='/left_arm/spec_vla')
    world.camera('/left_arm/image')
    world.instruct('go', '/left_arm/instruction')
    assert topics.actions.wait().instruction == 'go'
    topics.twists.wait(moving)


def test_a_bad_checkpoint_is_told_and_mended_without_a_restart(world, topics):
    diagnostics = world.record(DiagnosticArray, 'diagnostics')

    def load(settings):
        if settings.checkpoint == '/no/such/folder':
            raise ValueError('/no/such/folder is no folder')
        return ScriptedPolicy()

    world.policy_node(load, active=False, checkpoint='/no/such/folder')
    wait_for(lambda: topics.status.last, 'the status of a node that waits')
    assert topics.status.last.state == PolicyStatus.STATE_INACTIVE
    assert topics.status.last.reason_text == 'not configured'
    assert not world.remote.configure('/spec_vla')
    reason = 'not configured: cannot load the policy: /no/such/folder is no folder'
    wait_for(lambda: topics.status.last.reason_text == reason, 'the reason')
    (told,) = diagnostics.wait(lambda m: m.status[0].level == DiagnosticStatus.ERROR).status
    assert (told.name, told.message) == ('spec_vla: policy', reason)

    assert world.remote.set_parameters('/spec_vla', {'checkpoint': '/a/folder'}).successful
    assert world.remote.configure('/spec_vla')
    assert world.remote.activate('/spec_vla')
    world.camera()
    world.instruct('go')
    topics.twists.wait(moving)
    assert world.remote.deactivate('/spec_vla')
    assert world.remote.clean_up('/spec_vla')
    wait_for(lambda: topics.status.last.reason_text == 'not configured', 'the cleanup')


def test_remapped_process(world):
    """A bad checkpoint fails to configure, in a process with remapped names and its own log."""
    world.process(
        'policy',
        'spec_vla_ros.ros.policy_node',
        '--ros-args',
        *('-r', '__node:=brain', '-r', '__ns:=/robot', '-r', 'image:=/wrist/rgb'),
        *('-p', 'checkpoint:=/no/such/folder'),
    )
    assert world.remote.state('/robot/brain') == 'unconfigured'
    assert not world.remote.configure('/robot/brain')
    assert world.remote.state('/robot/brain') == 'unconfigured'
    log = (world.directory / 'policy.log').read_text()
    assert 'cannot load the policy' in log
    assert '/no/such/folder' in log
    assert 'not configured; waits for `ros2 lifecycle set /robot/brain configure`' in log
    assert world.children.stop(grace=PATIENCE) == {'policy': 0}
