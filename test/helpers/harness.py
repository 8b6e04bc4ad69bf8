# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Nodes under test, each spun in a thread of its own, and somebody who watches them over DDS."""

import contextlib
import copy
import functools
import sys
import threading

import numpy as np
from processes import python_path
from rcl_interfaces.msg import Log
from rclpy.action import ActionClient
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from spec_vla_ros.msg import PolicyStatus
from std_msgs.msg import String
from waiting import PATIENCE, wait_for

from spec_vla_ros.ros import qos
from spec_vla_ros.ros.children import Children
from spec_vla_ros.ros.converters import rgb_to_image, to_nanoseconds
from spec_vla_ros.ros.free_domain import free_domain
from spec_vla_ros.ros.policy_node import SpecVlaNode
from spec_vla_ros.ros.remote import RemoteNode
from spec_vla_ros.types import Action, DecodeStats, PolicyInfo

FORWARD = np.array([0.012, -0.006, 0.003, 0.03, -0.06, 0.09, 1.0])
STILL_IMAGE = np.tile(np.linspace(60, 120, 64).astype(np.uint8)[:, None], (48, 1, 3))


def action_client(node, kind, name):
    """Make an action client in the thread that spins the node.

    rclpy lists one with its node before it is complete; beside a spinning executor that may end in
    an AttributeError in the executor's thread, and nothing is answered any more.
    """
    made = node.executor.create_task(lambda: ActionClient(node, kind, name))
    wait_for(made.done, f'a client of {name}')
    return made.result()


def vector(message):
    return np.array([message.x, message.y, message.z])


def twist_vector(message):
    return np.concatenate([vector(message.twist.linear), vector(message.twist.angular)])


class ScriptedPolicy:
    """Gives the same action, or what a callable makes of the observation; can be held up."""

    def __init__(self, action=FORWARD, *, has_drafter=False):
        self.action = action
        self.has_drafter = has_drafter
        self.observations = []
        self.decodings = []
        self.resets = 0
        self.stats = lambda decoding: DecodeStats(mode='scripted', target_passes=7)
        self.open = threading.Event()
        self.open.set()

    @property
    def info(self):
        return PolicyInfo(
            device='nowhere',
            has_drafter=self.has_drafter,
        )

    def infer(self, observation, decoding):
        self.observations.append(observation)
        self.decodings.append(decoding)
        assert self.open.wait(PATIENCE)
        values = self.action(observation) if callable(self.action) else self.action
        stats = self.stats(decoding)
        return Action(np.array(values, dtype=float), np.zeros(7), np.zeros(7, np.int64), stats)

    def reset(self):
        self.resets += 1


class Recorder:
    """Every message of a topic, in order."""

    def __init__(self):
        self.messages = []

    @property
    def last(self):
        return self.messages[-1] if self.messages else None

    def wait(self, predicate=lambda message: True, what='a message'):
        """Return the first message from now on that satisfies the predicate."""
        start = len(self.messages)
        return wait_for(lambda: next(filter(predicate, self.messages[start:]), None), what)


def deep(profile):
    """Return a profile that keeps whatever cannot be taken at once, if none may be lost."""
    profile = copy.copy(profile)
    if profile.reliability == ReliabilityPolicy.RELIABLE:
        profile.depth = 1000
    return profile


def take_all(subscription, recorder):
    """Yield what has come: when it was published, whose it is, the message."""
    handle = subscription.handle
    with handle:
        while (taken := handle.take_message(subscription.msg_type, False)) is not None:
            message, info = taken
            yield info['source_timestamp'], recorder, message


class Camera:
    """Publishes images until it is covered."""

    def __init__(self, remote, topic='image', rate=30.0, offer=qos.CAMERA):
        self._publisher = remote.node.create_publisher(Image, topic, offer)
        self._clock = remote.node.get_clock()
        self.covered = False
        self.frames = 0
        self.make = self._picture
        remote.node.create_timer(1.0 / rate, self.publish)

    def _picture(self, now_ns):
        """A scene in which only the first row changes, as the noise of a real camera would."""
        picture = STILL_IMAGE.copy()
        picture[0] = self.frames % 251
        return rgb_to_image(picture, stamp_ns=now_ns, frame_id='camera')

    def publish(self):
        self.frames += 1
        if not self.covered:
            self._publisher.publish(self.make(self._clock.now().nanoseconds))


class PatientRemote(RemoteNode):
    """Waits for answers as long as a busy machine may need."""

    call, configure, activate, deactivate, clean_up, state, set_parameters = (
        functools.partialmethod(method, timeout=PATIENCE)
        for method in (
            RemoteNode.call,
            RemoteNode.configure,
            RemoteNode.activate,
            RemoteNode.deactivate,
            RemoteNode.clean_up,
            RemoteNode.state,
            RemoteNode.set_parameters,
        )
    )


class World:
    """One ROS domain: the observer, nodes under test, processes."""

    def __init__(self, domain_id, directory):
        self.domain_id = domain_id
        self.directory = directory
        self.children = Children()
        self.remote = PatientRemote(
            'observer', domain_id=domain_id, while_waiting=self.children.check
        )
        self._spun = []
        self._recorded = []  # subscriptions, each with its recorder

    def record(self, kind, topic, profile=qos.COMMAND):
        """Record a topic; nothing of it is lost while the observer is held up.

        Of what is sent as a camera's pictures are, the newest counts here, too.
        """
        recorder = Recorder()
        subscription = self.remote.node.create_subscription(
            kind, topic, lambda message, info: self._keep(recorder, message, info), deep(profile)
        )
        self._recorded.append((subscription, recorder))
        return recorder

    def _keep(self, recorder, message, info):
        """Keep a message, and before it what was published before it on other topics.

        An observer that was held up is handed one message of each topic in turn: it would hear of
        a halt before it hears the last motions.
        """
        came, more = [(info['source_timestamp'], recorder, message)], True
        while more:
            more = [taken for entry in list(self._recorded) for taken in take_all(*entry)]
            came += more
        for _, whose, kept in sorted(came, key=lambda entry: entry[0]):
            whose.messages.append(kept)

    def log(self):
        """Everything that nodes write into their logs."""
        every = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        return self.record(Log, '/rosout', every)

    def camera(self, topic='image', **options):
        return Camera(self.remote, topic, **options)

    def instruct(self, text, topic='instruction'):
        publisher = self.remote.node.create_publisher(String, topic, qos.LATCHED)
        publisher.publish(String(data=text))
        return publisher

    def spin(self, make_node):
        """Make a node in this domain and spin it in a thread of its own, which also makes it."""
        context = Context()
        context.init(domain_id=self.domain_id)
        made, ended, box = threading.Event(), threading.Event(), []

        def run():
            node = make_node(context=context)
            box.append(node)
            executor = SingleThreadedExecutor(context=context)
            executor.add_node(node)
            made.set()
            while not ended.is_set():
                executor.spin_once(timeout_sec=0.05)
            executor.shutdown()
            node.destroy_node()
            context.shutdown()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        assert made.wait(PATIENCE)
        self._spun.append((ended, thread))
        return box[0]

    def policy_node(self, make_policy, *, active=True, name='/spec_vla', **parameters):
        overrides = [Parameter(key, value=value) for key, value in parameters.items()]
        namespace = name.rpartition('/')[0]
        node = self.spin(
            lambda context: SpecVlaNode(
                make_policy=make_policy,
                context=context,
                parameter_overrides=overrides,
                namespace=namespace,
            )
        )
        if active:
            assert self.remote.configure(name)
            assert self.remote.activate(name)
        return node

    def process(self, name, module, *arguments):
        """Start a node as a process and return its process id."""
        return self.children.start(
            name,
            [sys.executable, '-m', module, *arguments],
            log=self.directory / f'{name}.log',
            env={'ROS_DOMAIN_ID': str(self.domain_id), 'PYTHONPATH': python_path()},
        )

    def close(self):
        self.children.stop()
        for ended, _ in self._spun:
            ended.set()
        for _, thread in self._spun:
            thread.join()
        self.remote.close()


@contextlib.contextmanager
def new_world(directory):
    """Make a world in a ROS domain of its own, and close it in the end."""
    directory.mkdir(exist_ok=True)
    with free_domain() as domain_id:
        world = World(domain_id, directory)
        try:
            yield world
        finally:
            world.close()


def on_time(messages, *, within=2 / 30):
    """Whether messages came one after the other within so many seconds, by their stamps."""
    stamps = [to_nanoseconds(message.header.stamp) for message in messages]
    return len(stamps) > 1 and max(np.diff(stamps)) < 1e9 * within


def running(status):
    return status.state == PolicyStatus.STATE_RUNNING


def halted(reason):
    return lambda s: s.state == PolicyStatus.STATE_HALTED and s.reason == reason
