# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""However the policy node ends, the arm stands still: by its last word, or by its own timeout.

The robot is the simulated one. It stops by itself when commands go stale, as arm controllers do.
"""

import os
import signal

import psutil
import pytest
from geometry_msgs.msg import PoseStamped, TwistStamped
from harness import twist_vector, vector
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from processes import gone, kill_outright
from spec_vla_ros.msg import EpisodeStatus, PolicyStatus
from std_msgs.msg import String
from waiting import wait_for

from spec_vla_ros.ros import qos

pytestmark = [pytest.mark.dds, pytest.mark.slow]
NODE = '/spec_vla'
NODE_PROGRAM = 'spec_vla_ros.ros.policy_node'
TERMINAL = """
import pty, sys
pty.spawn([sys.executable, '-m', *sys.argv[1:]])
"""


class Pair:
    """The simulated robot, and the shipped policy that moves it."""

    def __init__(self, world):
        self.world = world
        self.twists = world.record(TwistStamped, 'delta_twist_cmds')
        self.status = world.record(PolicyStatus, 'status', qos.LATCHED)
        self.poses = world.record(PoseStamped, 'end_effector_pose', qos.SENSOR_STATE)
        self.episodes = world.record(EpisodeStatus, 'episode', qos.LATCHED)
        world.process('robot', 'spec_vla_ros.ros.robots.sim_node')
        self.instructions = world.remote.node.create_publisher(String, 'instruction', qos.LATCHED)
        self.instructions.publish(String(data='pick up the red block'))  # before there is a node

    def start(self, program=(NODE_PROGRAM,)):
        """Return the node's process id, when the arm moves.

        program: module and first arguments of what runs the node.
        """
        # Long steps, so that whatever happens happens in the middle of one.
        arguments = ('--ros-args', '-p', 'step_duration:=3.0', '-p', 'draft_top_k:=4')
        pid = self.world.process('policy', *program, *arguments)
        assert self.world.remote.configure(NODE)
        assert self.world.remote.activate(NODE)
        self.twists.wait(moving)
        return pid


@pytest.fixture
def pair(world, not_under_nohup):
    return Pair(world)


def moving(twist):
    return bool(twist_vector(twist).any())


def inference_process(pid):
    (child,) = psutil.Process(pid).children()
    return child


def test_signals_and_kills_end_with_the_arm_at_rest(pair):
    """One robot, one policy node after another, each ended in its own way."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process = psutil.Process(pair.start())
        worker = inference_process(process.pid)
        os.kill(process.pid, number)
        wait_for(lambda process=process: gone(process), 'the node to end')
        wait_for(lambda worker=worker: gone(worker), 'its inference process to end')
        wait_for(lambda: not moving(pair.twists.last), 'zero to be the last command on the wire')

    process = psutil.Process(pair.start())
    worker = inference_process(process.pid)
    timeouts = pair.episodes.last.command_timeouts
    kill_outright(process.pid)
    wait_for(lambda: gone(worker), 'the inference process to end')
    assert moving(pair.twists.last)  # nobody was left to say anything else
    wait_for(lambda: pair.episodes.last.command_timeouts > timeouts, "the robot's own timeout")
    stopped = vector(pair.poses.wait().pose.position)
    for _ in range(5):
        assert abs(vector(pair.poses.wait().pose.position) - stopped).max() < 1e-3


def test_the_end_of_its_terminal_ends_with_a_zero_twist(pair, tmp_path, monkeypatch):
    (tmp_path / 'terminal.py').write_text(TERMINAL)
    monkeypatch.syspath_prepend(tmp_path)
    terminal = psutil.Process(pair.start(('terminal', NODE_PROGRAM)))
    (node,) = terminal.children()
    worker = inference_process(node.pid)
    terminal.kill()
    wait_for(lambda: gone(node) and gone(worker), 'the node to end')
    wait_for(lambda: not moving(pair.twists.last), 'zero to be the last command on the wire')


def test_a_shutdown_ends_with_a_zero_twist(pair):
    pair.start()
    request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_ACTIVE_SHUTDOWN))
    assert pair.world.remote.call(ChangeState, f'{NODE}/change_state', request).success
    wait_for(lambda: pair.status.last.state == PolicyStatus.STATE_INACTIVE, 'the status')
    wait_for(lambda: not moving(pair.twists.last), 'zero to be the last command on the wire')
