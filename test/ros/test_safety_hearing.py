# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Nothing that is said to the robot is lost in silence, whoever says it and how."""

import itertools
import time

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped, Twist, TwistStamped
from harness import Camera, ScriptedPolicy, halted, new_world, running
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from safety_bench import NODE, SafetyBench, moving
from sensor_msgs.msg import CompressedImage, Image
from spec_vla_ros.msg import PolicyStatus
from std_msgs.msg import Bool, Float64, Int32, String
from waiting import wait_for, wait_for_line

from spec_vla_ros.ros.policy_node import SpecVlaNode
from spec_vla_ros.ros.remote import RemoteNode

pytestmark = pytest.mark.dds

OFFERS = {
    f'{reliability.name} {durability.name}'.lower(): QoSProfile(
        depth=10, reliability=reliability, durability=durability
    )
    for reliability, durability in itertools.product(
        (ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT),
        (DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL),
    )
}
whatever_is_offered = pytest.mark.parametrize('offer', OFFERS.values(), ids=OFFERS)


class Person:
    """Somebody else's node, `/person`, and what it publishes until it leaves."""

    def __init__(self, world):
        self.remote = RemoteNode('person', domain_id=world.domain_id)

    def offers(self, kind, topic, offer=10):
        return self.remote.node.create_publisher(kind, topic, offer)

    def keeps_saying(self, message, topic, offer=10):
        """Publish ten times a second, as the first ones may come before they can be heard."""
        publisher = self.offers(type(message), topic, offer)
        self.remote.node.create_timer(0.1, lambda: publisher.publish(message))

    def leaves(self):
        self.remote.close()


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
    with new_world(tmp_path_factory.mktemp('world')) as world:
        bench = SafetyBench(world)
        bench.diagnostics = world.record(DiagnosticArray, 'diagnostics')
        yield bench


@pytest.fixture
def bench(shared):
    wait_for(lambda: 'person' not in shared.node.get_node_names(), 'the one before to be gone')
    shared.reset()
    shared.put_right()
    return shared


@pytest.fixture
def person(bench):
    person = Person(bench.world)
    yield person
    person.leaves()


@whatever_is_offered
def test_the_emergency_stop_is_heard_from_every_publisher(bench, person, offer):
    bench.instruct('go')
    bench.wait_moving()
    person.keeps_saying(Bool(data=True), 'emergency_stop', offer)
    assert '(/person, /emergency_stop)' in bench.wait_halted('EMERGENCY_STOP').reason_text
    bench.assert_stands_still()


@whatever_is_offered
def test_an_instruction_is_heard_from_every_publisher(bench, person, offer):
    # Where nobody tells who publishes, as on Jazzy, the same words again would be copies.
    words = f'go on, {offer.reliability.name} and {offer.durability.name}'.lower()
    words = words.replace('_', ' ')
    person.keeps_saying(String(data=words), 'instruction', offer)
    bench.wait_moving()
    assert bench.wait_running().instruction == words


@whatever_is_offered
def test_images_are_taken_from_every_publisher(bench, person, offer):
    bench.camera.covered = True
    bench.instruct('go')
    bench.wait_halted('STALE_IMAGE')
    Camera(person.remote, offer=offer)
    bench.wait_moving()


def test_a_pose_is_taken_from_a_best_effort_publisher(bench, person):
    bench.set(workspace_min=[-1.0] * 3, workspace_max=[1.0] * 3)
    bench.instruct('go')
    bench.wait_halted('POSE_MISSING')
    pose = PoseStamped()
    pose.header.frame_id = 'base_link'
    pose.pose.position.x = 0.3
    person.keeps_saying(pose, 'end_effector_pose', OFFERS['best_effort volatile'])
    bench.wait_moving()


def test_an_emergency_stop_pressed_before_the_node_is_up_is_heard(world, status):
    latched = OFFERS['reliable transient_local']
    world.remote.node.create_publisher(Bool, 'emergency_stop', latched).publish(Bool(data=True))
    world.policy_node(lambda settings: ScriptedPolicy())
    status.wait(halted(PolicyStatus.REASON_EMERGENCY_STOP))


def test_an_emergency_stop_of_another_type_halts_and_names_its_node(bench, person, stderr):
    bench.instruct('go')
    bench.wait_moving()
    person.offers(Int32, 'emergency_stop')
    text = bench.wait_halted('EMERGENCY_STOP').reason_text
    for words in ('/person publishes', 'std_msgs/msg/Int32', 'std_msgs/msg/Bool'):
        assert words in text
    bench.diagnostics.wait(lambda message: '/person publishes' in error_of(message))

    bench.reset()
    line = wait_for_line(stderr, 'it cannot be heard), until reset', behind='service reset')
    assert '[ERROR]' in line  # it still is there
    bench.wait_halted('EMERGENCY_STOP')
    person.leaves()
    wait_for(lambda: not bench.node.count_publishers('emergency_stop'), 'it to be gone')
    bench.reset()
    bench.instruct('go')
    bench.wait_moving()


def test_an_emergency_stop_that_is_gone_is_an_error_until_it_is_back_or_a_reset(bench, person):
    bench.reset()
    person.offers(Bool, 'emergency_stop')
    echo = RemoteNode('_ros2cli_4711', domain_id=bench.world.domain_id)
    try:
        echo.node.create_publisher(Bool, 'emergency_stop', 10)
        wait_for(lambda: bench.node.count_publishers('emergency_stop') == 2, 'both')
        time.sleep(1.0)  # for the node to look who is there
    finally:
        echo.close()
    assert not bench.status.last.not_heard
    person.leaves()
    (text,) = bench.status.wait(lambda s: s.not_heard).not_heard
    assert text.startswith('/person is gone, and nobody else publishes on /emergency_stop: ')
    back = Person(bench.world)
    back.offers(Bool, 'emergency_stop')
    bench.status.wait(lambda s: not s.not_heard)
    back.leaves()
    bench.status.wait(lambda s: s.not_heard)
    bench.reset()
    bench.status.wait(lambda s: not s.not_heard)


@pytest.mark.parametrize('topic', ['/instruction', '/image', '/end_effector_pose'])
def test_a_publisher_of_another_type_is_an_error_that_names_its_node(bench, person, topic):
    person.offers(Int32, topic)
    status = bench.status.wait(lambda s: any(topic in text for text in s.not_heard))
    (text,) = status.not_heard
    assert text.startswith('/person publishes std_msgs/msg/Int32 instead of ')
    assert text in status.reason_text
    bench.instruct('go')
    bench.wait_moving()  # what the others say is heard all the same
    assert text in error_of(bench.diagnostics.wait(lambda m: 'running' in m.status[0].message))
    person.leaves()
    bench.status.wait(lambda s: not s.not_heard)


TRANSIENT = OFFERS['reliable transient_local']


@pytest.mark.parametrize(
    ('kind', 'asks', 'words'),
    [
        (
            Twist,
            10,
            'as geometry_msgs/msg/Twist instead of geometry_msgs/msg/TwistStamped',
        ),
        (TwistStamped, TRANSIENT, 'asking for another quality of service (reliable, transient'),
    ],
)
def test_a_driver_that_cannot_hear_the_commands_is_an_error(bench, person, kind, asks, words):
    person.remote.node.create_subscription(kind, '/delta_twist_cmds', lambda message: None, asks)
    (text,) = bench.status.wait(lambda s: s.not_heard).not_heard
    assert text.startswith(f'/person subscribes to /delta_twist_cmds {words}')
    person.leaves()
    bench.status.wait(lambda s: not s.not_heard)


@pytest.mark.parametrize(
    ('kind', 'topic'), [(TwistStamped, '/delta_twist_cmds'), (Float64, '/gripper_command')]
)
def test_somebody_else_who_commands_the_arm_is_an_error(bench, person, kind, topic):
    person.offers(kind, topic)
    (text,) = bench.status.wait(lambda s: s.not_heard).not_heard
    assert text.startswith(f'/person publishes on {topic}, too')
    person.leaves()
    bench.status.wait(lambda s: not s.not_heard)


def test_what_is_missing_is_said_with_its_topic_and_its_publishers(world, status):
    world.policy_node(lambda settings: ScriptedPolicy(), command_type='pose')
    nobody = '/instruction (std_msgs/msg/String), which nobody publishes'
    assert nobody in status.wait(halted(PolicyStatus.REASON_NO_INSTRUCTION)).reason_text
    world.camera()
    world.instruct('go')
    no_pose = halted(PolicyStatus.REASON_POSE_MISSING)
    nobody = '/end_effector_pose (geometry_msgs/msg/PoseStamped), which nobody publishes'
    assert nobody in status.wait(no_pose).reason_text


def test_what_is_missing_is_said_with_where_there_is_some(world, status):
    world.policy_node(lambda settings: ScriptedPolicy(), command_type='pose')
    world.instruct('go', topic='/left_arm/instruction')
    lost = 'String on /left_arm/instruction, to which nobody listens'
    status.wait(lambda s: lost in s.reason_text)
    world.camera()
    world.instruct('go')
    world.remote.node.create_publisher(PoseStamped, '/arm/current_pose', 10)
    there = 'there are poses on /arm/current_pose (geometry_msgs/msg/PoseStamped)'
    assert '/pose_target' not in status.wait(lambda s: there in s.reason_text).reason_text


def test_no_image_names_the_topic_its_publishers_and_what_they_offer(world, status):
    world.policy_node(lambda settings: ScriptedPolicy())
    world.instruct('go')
    no_image = halted(PolicyStatus.REASON_NO_IMAGE)
    text = status.wait(no_image).reason_text
    assert '/image (sensor_msgs/msg/Image), which nobody publishes' in text
    assert 'none of them' not in text
    offer = OFFERS['best_effort volatile']
    for kind, topic in ((CompressedImage, 'cam/compressed'), (Image, 'image')):
        world.remote.node.create_publisher(kind, topic, offer)
    offered = '/observer (sensor_msgs/msg/Image, best effort, volatile)'
    text = status.wait(lambda s: no_image(s) and offered in s.reason_text).reason_text
    assert 'there are images on /cam/compressed (sensor_msgs/msg/CompressedImage)' in text
    assert 'none of them has arrived' in text
    assert '--ipc host' in text


def test_the_word_none_is_no_instruction(bench):
    bench.instruct('go')
    bench.wait_moving()
    bench.instruct('None')
    assert "'None'" in bench.wait_halted('BAD_INSTRUCTION').reason_text
    bench.assert_stands_still()


def error_of(message):
    """The words of an error in the diagnostics; none if it is not one."""
    (status,) = message.status
    return status.message if status.level == DiagnosticStatus.ERROR else ''


def test_a_node_that_runs_twice_is_an_error(bench):
    twin = RemoteNode('spec_vla', domain_id=bench.world.domain_id)
    twin.node.create_publisher(TwistStamped, '/delta_twist_cmds', 10)
    try:
        (text,) = bench.status.wait(lambda s: s.not_heard).not_heard
        assert text.startswith('another node called /spec_vla publishes on /delta_twist_cmds, too')
    finally:
        twin.close()
    bench.status.wait(lambda s: not s.not_heard)


@pytest.mark.parametrize(
    ('topic', 'message', 'words'),
    [
        ('/left_arm/emergency_stop', Bool(data=True), 'remap emergency_stop'),
        ('/estop/pressed', Int32(data=1), 'publish std_msgs/msg/Bool on /emergency_stop'),
    ],
)
def test_an_emergency_stop_on_a_topic_that_nobody_hears_halts(
    bench, person, topic, message, words
):
    bench.instruct('go')
    bench.wait_moving()
    person.keeps_saying(message, topic)
    text = bench.wait_halted('EMERGENCY_STOP').reason_text
    assert f' on {topic}, to which nobody listens' in text
    assert words in text


def test_an_emergency_stop_of_the_usual_name_halts_though_it_is_remapped_here(
    world, status, twists
):
    """Asked who is on /emergency_stop, rclpy answers for the topic that it is remapped to."""
    remapped = ['--ros-args', '-r', 'emergency_stop:=/estop_of_the_arm']
    policy = ScriptedPolicy()
    world.spin(
        lambda context: SpecVlaNode(
            make_policy=lambda settings: policy, context=context, cli_args=remapped
        )
    )
    assert world.remote.configure(NODE)
    assert world.remote.activate(NODE)
    world.camera()
    world.instruct('go')
    twists.wait(moving)
    world.remote.node.create_publisher(Bool, '/emergency_stop', 1)
    text = status.wait(halted(PolicyStatus.REASON_EMERGENCY_STOP)).reason_text
    assert 'on /emergency_stop, to which nobody listens, and not on /estop_of_the_arm' in text
    assert not moving(twists.wait())


def test_an_emergency_stop_elsewhere_is_an_error_where_another_is_heard(bench, person):
    panel = person.offers(Bool, 'emergency_stop')
    wait_for(panel.get_subscription_count, 'it to be heard')
    wait_for(lambda: bench.node.count_publishers('emergency_stop'), 'it to be seen')
    bench.instruct('go')
    bench.wait_moving()
    person.offers(Bool, '/estop')
    (text,) = bench.status.wait(lambda s: s.not_heard).not_heard
    assert text.startswith('/person publishes std_msgs/msg/Bool on /estop, to which nobody')
    assert text in error_of(bench.diagnostics.wait(lambda m: 'running' in m.status[0].message))
    bench.wait_moving()


def test_who_only_watches_is_nobody_who_hears_an_emergency_stop(bench, person):
    recorder = RemoteNode('rosbag2_recorder', domain_id=bench.world.domain_id)
    recorder.node.create_subscription(Bool, '/estop', lambda message: None, 10)
    wait_for(lambda: bench.node.count_subscribers('/estop'), 'it to be seen')
    try:
        bench.instruct('go')
        bench.wait_moving()
        person.keeps_saying(Bool(data=True), '/estop')
        text = bench.wait_halted('EMERGENCY_STOP').reason_text
        assert '/person publishes std_msgs/msg/Bool on /estop, to which nobody listens' in text
    finally:
        recorder.close()


def test_an_emergency_stop_that_another_node_hears_is_left_to_it(bench, person):
    person.remote.node.create_subscription(Bool, '/estop', lambda message: None, 10)
    bench.instruct('go')
    bench.wait_moving()
    person.keeps_saying(Bool(data=True), '/estop')
    wait_for(lambda: bench.node.count_publishers('/estop'), 'it to be seen')
    before = len(bench.status.messages)
    bench.status.wait(lambda s: len(bench.status.messages) > before + 5)
    assert running(bench.status.last)
