# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The action execute_instruction over DDS: limits, feedback, cancel, and whatever ends a goal."""

import itertools
import time

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from harness import (
    FORWARD,
    STILL_IMAGE,
    ScriptedPolicy,
    action_client,
    halted,
    twist_vector,
)
from spec_vla_ros.action import ExecuteInstruction
from spec_vla_ros.msg import PolicyStatus
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from waiting import PATIENCE, wait_for

from spec_vla_ros.ros import qos
from spec_vla_ros.ros.converters import rgb_to_image
from spec_vla_ros.types import InstructionError

pytestmark = pytest.mark.dds
NODE = '/spec_vla'
PATIENT = {'image_timeout': 10.0, 'inference_timeout': 100.0}  # where no time limit is tested
Result = ExecuteInstruction.Result
SUCCEEDED, CANCELED, ABORTED = (
    GoalStatus.STATUS_SUCCEEDED,
    GoalStatus.STATUS_CANCELED,
    GoalStatus.STATUS_ABORTED,
)


def get(future):
    wait_for(future.done, 'an answer')
    return future.result()


class Client:
    """Sends goals and keeps what comes back."""

    def __init__(self, world):
        self._client = action_client(world.remote.node, ExecuteInstruction, 'execute_instruction')
        self.feedback = []

    def send(self, instruction='go', **limits):
        assert self._client.wait_for_server(timeout_sec=PATIENCE)
        goal = ExecuteInstruction.Goal(instruction=instruction, **limits)
        return get(
            self._client.send_goal_async(
                goal, feedback_callback=lambda message: self.feedback.append(message.feedback)
            )
        )

    def result(self, handle):
        """Return (status, result) of a goal when it has ended."""
        answer = get(handle.get_result_async())
        return answer.status, answer.result


@pytest.fixture
def client(world):
    return Client(world)


@pytest.fixture
def policy():
    return ScriptedPolicy()


@pytest.fixture
def node(world, policy, status):
    world.camera()
    world.policy_node(lambda settings: policy, **PATIENT)
    return status


def started(client):
    wait_for(lambda: client.feedback, 'feedback')


def test_a_step_limit_ends_a_goal_well(client, node, policy):
    handle = client.send('pick up the red block', step_limit=3)
    assert handle.accepted
    done, result = client.result(handle)
    assert done == SUCCEEDED
    assert result.outcome == Result.OUTCOME_STEP_LIMIT
    assert result.steps == 3
    assert '3 actions' in result.text
    node.wait(halted(PolicyStatus.REASON_NO_INSTRUCTION))
    assert {o.instruction for o in policy.observations} == {'pick up the red block'}
    steps = [f.step for f in client.feedback if f.step]
    assert steps == sorted(steps)
    assert steps[-1] == 3
    acted = client.feedback[-1]
    assert acted.accept_length == pytest.approx(7 / 6)
    assert acted.target_passes == 7
    assert acted.latency_ms > 0
    assert 0 < acted.elapsed <= result.seconds


@pytest.mark.usefixtures('node')
def test_a_time_limit_ends_a_goal_well(client, twists):
    limits = (2.0 * 4**n for n in itertools.count())  # a busy machine may need more for a step

    def steps():
        limit = next(limits)
        done, result = client.result(client.send(time_limit=limit))
        assert done == SUCCEEDED
        assert result.outcome == Result.OUTCOME_TIME_LIMIT
        assert result.seconds >= limit
        return result.steps

    assert wait_for(steps, 'a step within the time') >= 1
    wait_for(lambda: not twist_vector(twists.last).any(), 'the arm to stand still')


@pytest.mark.usefixtures('node')
def test_a_goal_runs_until_it_is_canceled(client, twists):
    handle = client.send()
    twists.wait(lambda t: twist_vector(t).any())
    assert get(handle.cancel_goal_async()).goals_canceling
    done, result = client.result(handle)
    assert (done, result.outcome) == (CANCELED, Result.OUTCOME_CANCELED)
    assert not twist_vector(twists.wait()).any()


def test_no_action_begins_once_a_cancel_was_accepted(world, client, policy, twists):
    """Between two ticks: the end of an inference makes one of its own."""
    world.camera()
    world.policy_node(lambda settings: policy, control_rate=1.0, **PATIENT)
    policy.open.clear()
    handle = client.send()
    wait_for(lambda: policy.observations, 'the inference to begin')
    assert get(handle.cancel_goal_async()).goals_canceling
    policy.open.set()
    done, result = client.result(handle)
    assert (done, result.steps) == (CANCELED, 0)
    assert not any(twist_vector(twist).any() for twist in twists.messages)


def test_no_action_begins_once_the_time_is_over(world, client, policy, twists):
    world.camera()
    world.policy_node(lambda settings: policy, control_rate=1.0, **PATIENT)
    policy.open.clear()
    since, limit = time.monotonic(), 2.5  # the first tick may not have an image yet
    handle = client.send(time_limit=limit)
    wait_for(lambda: policy.observations, 'the inference to begin')
    wait_for(lambda: time.monotonic() > since + 1.05 * limit, 'the end of the time')
    policy.open.set()
    done, result = client.result(handle)
    assert (done, result.steps) == (SUCCEEDED, 0)
    assert not any(twist_vector(twist).any() for twist in twists.messages)


def test_the_last_action_of_a_step_limit_is_executed_to_its_end(world, client, policy, twists):
    world.camera()
    world.policy_node(lambda settings: policy, step_duration=0.5, wait_for_motion=False, **PATIENT)
    done, result = client.result(client.send(step_limit=2))
    assert (done, result.outcome) == (SUCCEEDED, Result.OUTCOME_STEP_LIMIT)
    assert result.steps == 2
    wait_for(lambda: not twist_vector(twists.last).any(), 'the arm to stand still')
    travelled = sum(twist_vector(twist) for twist in twists.messages) / 30
    np.testing.assert_allclose(travelled, 2 * FORWARD[:6], rtol=1e-9)


def test_a_last_action_that_is_cut_short_is_told(world, client, policy):
    world.policy_node(lambda settings: policy, step_duration=5.0, image_timeout=0.2)
    camera = world.camera()
    handle = client.send(step_limit=1)
    wait_for(lambda: any(f.step for f in client.feedback), 'the action')
    camera.covered = True
    done, result = client.result(handle)
    assert (done, result.outcome) == (SUCCEEDED, Result.OUTCOME_STEP_LIMIT)
    assert 'the last of them until it halted: ' in result.text
    assert 'image_timeout' in result.text


def test_one_goal_at_a_time(client, node):
    first = client.send('first')
    second = client.send('second')
    assert not second.accepted
    assert node.wait().instruction == 'first'
    get(first.cancel_goal_async())
    assert client.result(first)[0] == CANCELED
    third = client.send('third', step_limit=1)
    assert client.result(third)[0] == SUCCEEDED


@pytest.mark.usefixtures('node')
@pytest.mark.parametrize(
    'goal',
    [
        {'instruction': ''},
        {'instruction': 'x' * 501},
        {'instruction': 'go', 'time_limit': float('nan')},
        {'instruction': 'go', 'time_limit': -1.0},
    ],
)
def test_goals_that_make_no_sense_are_rejected(client, goal):
    assert not client.send(**goal).accepted
    assert client.result(client.send(step_limit=1))[0] == SUCCEEDED


def test_an_inactive_node_rejects_goals(world, client, policy):
    world.policy_node(lambda settings: policy, active=False)
    assert world.remote.configure(NODE)
    assert not client.send().accepted
    assert world.remote.activate(NODE)
    assert client.send().accepted


def test_the_topic_preempts_a_goal(world, client, node):
    handle = client.send('old')
    started(client)
    world.instruct('new')
    done, result = client.result(handle)
    assert (done, result.outcome) == (ABORTED, Result.OUTCOME_PREEMPTED)
    assert "'new'" in result.text
    assert node.wait().instruction == 'new'  # and it is carried out


def test_an_empty_instruction_by_topic_cancels_a_goal(world, client, node):
    handle = client.send('go')
    started(client)
    world.instruct('')
    status, result = client.result(handle)
    assert (status, result.outcome) == (ABORTED, Result.OUTCOME_PREEMPTED)
    assert result.text == 'the topic instruction cancelled it, being empty'


@pytest.mark.usefixtures('node')
def test_the_same_instruction_by_topic_changes_nothing(world, client):
    handle = client.send('go', step_limit=6)
    started(client)
    world.instruct(' go ')
    assert client.result(handle)[1].outcome == Result.OUTCOME_STEP_LIMIT


@pytest.mark.usefixtures('node')
def test_deactivation_aborts_a_goal(world, client):
    handle = client.send()
    started(client)
    assert world.remote.deactivate(NODE)
    done, result = client.result(handle)
    assert (done, result.outcome) == (ABORTED, Result.OUTCOME_DEACTIVATED)


@pytest.mark.usefixtures('node')
def test_the_emergency_stop_aborts_a_goal_and_rejects_further_ones(world, client, twists):
    handle = client.send()
    twists.wait(lambda t: twist_vector(t).any())
    button = world.remote.node.create_publisher(Bool, 'emergency_stop', qos.LATCHED)
    button.publish(Bool(data=True))
    done, result = client.result(handle)
    assert (done, result.outcome) == (ABORTED, Result.OUTCOME_STOPPED)
    assert 'emergency stop' in result.text
    assert not client.send().accepted


def test_a_goal_waits_out_what_passes_and_says_so(world, client, policy):
    world.policy_node(lambda settings: policy, image_timeout=0.2)
    camera = world.camera()
    handle = client.send(step_limit=5)
    wait_for(lambda: any(f.step >= 1 for f in client.feedback), 'the first action')
    camera.covered = True
    wait_for(lambda: any('image_timeout' in f.halt for f in client.feedback), 'the halt')
    told = next(f for f in client.feedback if 'image_timeout' in f.halt)
    assert told.target_passes == 7  # of the latest action
    assert told.latency_ms > 0
    camera.covered = False
    assert client.result(handle)[1].outcome == Result.OUTCOME_STEP_LIMIT


def test_giving_up_aborts_a_goal(world, client):
    world.policy_node(lambda settings: ScriptedPolicy(FORWARD * np.nan), max_inference_failures=3)
    world.camera()
    done, result = client.result(client.send())
    assert (done, result.outcome) == (ABORTED, Result.OUTCOME_GAVE_UP)
    assert 'not finite' in result.text
    assert result.steps == 0


def test_a_goal_with_the_words_that_were_given_up_is_tried(world, client, policy, status):
    policy.action = FORWARD * np.nan
    world.policy_node(lambda settings: policy, max_inference_failures=3)
    world.camera()
    world.instruct('go')
    status.wait(halted(PolicyStatus.REASON_TOO_MANY_FAILURES))
    policy.action = FORWARD
    assert client.result(client.send('go', step_limit=1))[0] == SUCCEEDED


def depth(now_ns):
    message = rgb_to_image(STILL_IMAGE, stamp_ns=now_ns, frame_id='camera')
    message.encoding = '32FC1'
    return message


def test_what_trying_again_cannot_mend_aborts_a_goal_at_once(world, client, policy, status):
    def refuse(observation):
        raise InstructionError("the policy does not know the words 'hiss'")

    policy.action = refuse
    world.policy_node(lambda settings: policy)
    camera = world.camera()
    done, result = client.result(client.send('hiss'))
    assert (done, result.outcome) == (ABORTED, Result.OUTCOME_GAVE_UP)
    assert "does not know the words 'hiss'" in result.text
    assert len(policy.observations) == 1

    policy.action, camera.make = FORWARD, depth
    done, result = client.result(client.send())
    assert (done, result.outcome) == (ABORTED, Result.OUTCOME_GAVE_UP)
    assert "encoding '32FC1' is not understood" in result.text


def test_a_goal_can_be_canceled_while_a_simulated_clock_stands_still(world, client, policy):
    """Without /clock there is never a tick."""
    world.policy_node(lambda settings: policy, use_sim_time=True)
    handle = client.send()
    assert handle.accepted
    get(handle.cancel_goal_async())
    assert client.result(handle)[0] == CANCELED
    assert client.result(client.send(time_limit=0.3))[1].outcome == Result.OUTCOME_TIME_LIMIT


def test_a_reset_that_forgets_the_instruction_ends_its_goal(world, client, policy):
    """Nobody would carry it out any more, and the next one would be rejected for it."""
    world.policy_node(lambda settings: policy, image_timeout=0.2)
    camera = world.camera()
    handle = client.send()
    wait_for(lambda: any(f.step for f in client.feedback), 'the first action')
    camera.covered = True
    wait_for(lambda: any('image_timeout' in f.halt for f in client.feedback), 'the halt')
    answer = world.remote.call(Trigger, f'{NODE}/reset', Trigger.Request())
    assert answer.message.endswith('; the arm waits for the next instruction')
    done, result = client.result(handle)
    assert (done, result.outcome) == (ABORTED, Result.OUTCOME_STOPPED)
    assert 'reset' in result.text
    camera.covered = False
    assert client.result(client.send(step_limit=1))[0] == SUCCEEDED


def test_an_emergency_stop_ends_a_goal_though_no_tick_follows_before_the_reset(world, client):
    """Without /clock there is never a tick."""
    world.policy_node(lambda settings: ScriptedPolicy(), use_sim_time=True)
    handle = client.send()
    button = world.remote.node.create_publisher(Bool, 'emergency_stop', qos.LATCHED)
    button.publish(Bool(data=True))
    wait_for(lambda: not client.send('other').accepted, 'it to be pressed')
    done, result = client.result(handle)
    assert (done, result.outcome) == (ABORTED, Result.OUTCOME_STOPPED)
    assert 'emergency stop' in result.text
    assert world.remote.call(Trigger, f'{NODE}/reset', Trigger.Request()).success
    assert client.send('other').accepted
