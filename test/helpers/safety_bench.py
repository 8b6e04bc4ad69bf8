# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""One policy node for many fault injections: everything is set right again before each."""

import dataclasses

import numpy as np
from geometry_msgs.msg import TwistStamped
from harness import FORWARD, ScriptedPolicy, halted, running, twist_vector
from spec_vla_ros.msg import PolicyStatus, VlaAction
from std_msgs.msg import Float64, String
from std_srvs.srv import Trigger
from waiting import wait_for

from spec_vla_ros.ros import qos
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.settings.parameter import meaning_of

NODE = '/spec_vla'
LIVE = {
    field.name: list(field.default) if isinstance(field.default, tuple) else field.default
    for field in dataclasses.fields(PolicySettings)
    if meaning_of(field).live
}


def moving(twist):
    return bool(twist_vector(twist).any())


class SafetyBench:
    """An active policy node, a camera, somebody who gives instructions, and all that is said.

    make_policy: called by the node; default: a scripted policy that moves forward.
    picture: what the camera shows when all is well.
    """

    def __init__(self, world, make_policy=None, **parameters):
        self.world = world
        self.policy = ScriptedPolicy()
        self.policy.has_drafter = True
        self.twists = world.record(TwistStamped, 'delta_twist_cmds')
        self.grippers = world.record(Float64, 'gripper_command')
        self.actions = world.record(VlaAction, 'action')
        self.status = world.record(PolicyStatus, 'status', qos.LATCHED)
        self.camera = world.camera()
        self.picture = self.camera.make
        self._instructions = world.remote.node.create_publisher(String, 'instruction', qos.LATCHED)
        self._defaults = {**LIVE, **parameters}
        self.node = world.policy_node(make_policy or (lambda settings: self.policy), **parameters)

    def put_right(self):
        """Have everything in order, and no instruction."""
        self.policy.open.set()
        self.policy.action = FORWARD
        self.camera.make, self.camera.covered = self.picture, False
        self.set(**{name: self._defaults[name] for name in LIVE})
        self.instruct('')
        self.wait_halted('NO_INSTRUCTION')

    def instruct(self, text):
        self._instructions.publish(String(data=text))

    def publish_raw_instruction(self, serialized):
        self._instructions.publish(serialized)

    def set(self, **parameters):
        assert self.world.remote.set_parameters(NODE, parameters).successful

    def reset(self):
        """Release what is latched."""
        assert self.world.remote.call(Trigger, f'{NODE}/reset', Trigger.Request()).success

    def stop(self):
        """Let go of the instruction."""
        assert self.world.remote.call(Trigger, f'{NODE}/stop', Trigger.Request()).success

    def wait_moving(self):
        return self.twists.wait(moving)

    def wait_running(self):
        return self._wait_status(running)

    def wait_halted(self, reason):
        """Return the status that says so, once zero is commanded too."""
        status = self._wait_status(halted(getattr(PolicyStatus, f'REASON_{reason}')))
        assert not moving(self.twists.wait())
        return status

    def assert_stands_still(self, *, commands=10):
        start = len(self.twists.messages)
        wait_for(lambda: len(self.twists.messages) >= start + commands, 'commands')
        assert not any(map(moving, self.twists.messages[start:]))

    def _wait_status(self, predicate):
        return wait_for(
            lambda: self.status.last if self.status.last and predicate(self.status.last) else None,
            'the status',
        )


def commanded_since(bench, start):
    """Return the velocities (N, 6) commanded since message number `start`."""
    return np.array([twist_vector(twist) for twist in bench.twists.messages[start:]])
