# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A recorded arm's poses or velocities become what one action of a policy would have been."""

import numpy as np
import pytest
from recording_files import POSE, TYPES, geometry, header, pose, record
from rosbags.rosbag2 import CompressionMode

from spec_vla_ros.evaluation.recorded.motion_messages import JOINTS, NUMBER, TWIST
from spec_vla_ros.evaluation.recorded.recorded_motion import MotionTopics, recorded_motion
from spec_vla_ros.recordings.files import RecordingError

MS = 1_000_000
TURN = 0.4  # rad/s about z


def twist(x, turn):
    return TYPES.types[TWIST](
        header=header(),
        twist=geometry(
            'Twist',
            linear=geometry('Vector3', x=x, y=0.0, z=0.0),
            angular=geometry('Vector3', x=0.0, y=0.0, z=turn),
        ),
    )


def number(value):
    return TYPES.types[NUMBER](data=value)


@pytest.fixture
def driven(tmp_path):
    """A second at 0.2 m/s and 0.4 rad/s, every 50 ms, the gripper closing after half of it."""
    messages = [(1 * MS, '/grip', NUMBER, number(0.08)), (500 * MS, '/grip', NUMBER, number(0.0))]
    for i in range(21):
        t = i * 0.05
        flip = -1 if i % 3 == 0 else 1
        messages.append((50 * i * MS + MS, '/pose', POSE, pose(0.2 * t, TURN * t, flip=flip)))
        messages.append((50 * i * MS + MS, '/twist', TWIST, twist(0.2, TURN)))
    return record(tmp_path / 'driven', sorted(messages, key=lambda m: m[0]))


@pytest.mark.parametrize('topics', [{'pose': '/pose'}, {'twist': '/twist'}])
def test_poses_and_velocities_say_the_same(driven, topics):
    gripper = {'gripper': '/grip', 'gripper_open': 0.08}
    motion = recorded_motion(driven, MotionTopics(**topics, **gripper))
    for start, end in ((101, 201), (130, 155), (401, 601)):
        seconds = (end - start) / 1e3
        expected = [0.2 * seconds, 0, 0, 0, 0, TURN * seconds, float(end < 500)]
        found = motion.between(start * MS, end * MS)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_unitless_velocities_have_scales(driven):
    """As MoveIt Servo takes them; without, an arm seems to go several times too far or short."""
    topics = MotionTopics(twist='/twist', twist_linear_scale=0.5, twist_angular_scale=2.0)
    moved = recorded_motion(driven, topics).between(101 * MS, 201 * MS)
    np.testing.assert_allclose(moved[:6], [0.01, 0, 0, 0, 0, 0.08], atol=1e-5)


@pytest.mark.parametrize('scale', [0.0, -1.0, float('nan'), float('inf')])
def test_scales_that_cannot_be(scale):
    with pytest.raises(ValueError, match='give numbers above 0'):
        MotionTopics(twist='/twist', twist_linear_scale=scale)
    with pytest.raises(ValueError, match='but no topic of velocities'):
        MotionTopics(pose='/pose', twist_angular_scale=0.8)


def test_what_is_not_covered(driven):
    motion = recorded_motion(driven, MotionTopics(pose='/pose'))
    assert motion.between(0, 100 * MS) is None
    assert motion.between(950 * MS, 1050 * MS) is None
    assert np.isnan(motion.between(100 * MS, 200 * MS)[6])


def test_pictures_of_another_clock_are_doubted(driven):
    """Each was compared with another moment, and the policy blamed."""
    motion = recorded_motion(driven, MotionTopics(pose='/pose'))
    recorded = np.arange(100, 900, 100) * MS
    assert motion.covers(recorded) == len(recorded)
    assert not motion.clock_doubt(recorded + 300 * MS, recorded)
    assert '2.0 s behind' in motion.clock_doubt(recorded - 2000 * MS, recorded)
    assert '1.0 s ahead of' in motion.clock_doubt(recorded + 1000 * MS, recorded)
    assert motion.covers(recorded + 5000 * MS) == 0


def test_a_velocity_does_not_hold_for_ever(tmp_path):
    messages = [(1, '/twist', TWIST, twist(1.0, 0.0)), (10_000 * MS, '/twist', TWIST, twist(0, 0))]
    motion = recorded_motion(record(tmp_path / 'stopped', messages), MotionTopics(twist='/twist'))
    assert motion.between(1, 10_000 * MS)[0] == pytest.approx(0.2)


@pytest.mark.parametrize('given', [{}, {'pose': '/a', 'twist': '/b'}])
def test_one_of_poses_and_velocities(given):
    with pytest.raises(ValueError, match='one of the two'):
        MotionTopics(**given)


def test_a_gripper_with_one_position():
    with pytest.raises(ValueError, match='closed and open at 0'):
        MotionTopics(pose='/pose', gripper_open=0.0)


def test_topics_that_are_not_there(driven, tmp_path):
    with pytest.raises(
        RecordingError, match=r'has no topic /poses; it has: /pose \(.*/grip \(std'
    ):
        recorded_motion(driven, MotionTopics(pose='/poses'))
    with pytest.raises(RecordingError, match=r'/pose is of type .*PoseStamped and should be '):
        recorded_motion(driven, MotionTopics(twist='/pose'))
    words = record(tmp_path / 'words', [(1, '/pose', POSE, pose(0.0, 0.0))])
    with pytest.raises(RecordingError, match='1 messages, two are needed'):
        recorded_motion(words, MotionTopics(pose='/pose'))
    (tmp_path / 'broken.mcap').write_bytes(b'no recording')
    with pytest.raises(RecordingError, match='cannot be read as a rosbag2 recording'):
        recorded_motion(tmp_path / 'broken.mcap', MotionTopics(pose='/pose'))


@pytest.mark.parametrize(('plugin', 'suffix'), [('mcap', '.mcap'), ('sqlite3', '.db3')])
@pytest.mark.parametrize('mode', [CompressionMode.FILE, CompressionMode.MESSAGE])
@pytest.mark.parametrize('alone', [False, True])
def test_compressed_recordings(tmp_path, plugin, suffix, mode, alone):
    messages = [(i * MS, '/pose', POSE, pose(float(i), 0.0)) for i in range(1, 4)]
    bag = record(tmp_path / 'bag', messages, plugin=plugin, compression=mode)
    if alone:
        found = next(p for p in bag.iterdir() if suffix in p.suffixes)
        bag = found.rename(tmp_path / found.name)
    motion = recorded_motion(bag, MotionTopics(pose='/pose'))
    assert motion.positions[:, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ('topics', 'fault'),
    [
        ({'pose': '/pose'}, r'message 2 of /pose: position nan 0 0\.1: not finite'),
        ({'pose': '/turn'}, r'message 2 of /turn: orientation 0 0 0 0: no rotation'),
        ({'twist': '/twist'}, r'message 2 of /twist: linear inf 0 0: not finite'),
        ({'pose': '/still', 'gripper': '/grip'}, r'message 2 of /grip: data nan: not finite'),
    ],
)
def test_messages_that_say_nothing_are_named(tmp_path, topics, fault):
    zeros = pose(0.0, 0.0)
    zeros.pose.orientation.w = 0.0
    good = [
        ('/pose', POSE, pose(0.0, 0.0)),
        ('/turn', POSE, pose(0.0, 0.0)),
        ('/twist', TWIST, twist(0.0, 0.0)),
        ('/grip', NUMBER, number(0.0)),
    ]
    bad = [
        ('/pose', POSE, pose(np.nan, 0.0)),
        ('/turn', POSE, zeros),
        ('/twist', TWIST, twist(np.inf, 0.0)),
        ('/grip', NUMBER, number(np.nan)),
    ]
    still = [('/still', POSE, pose(0.0, 0.0))] * 2
    messages = [(i * MS, *rest) for i, rest in enumerate([*good, *bad, *still], 1)]
    bag = record(tmp_path / 'bag', messages)
    with pytest.raises(RecordingError, match=f'bag: {fault}'):
        recorded_motion(bag, MotionTopics(**topics))


@pytest.mark.parametrize('kind', [POSE, TWIST])
def test_motion_in_several_frames_is_none(tmp_path, kind):
    made = {POSE: pose, TWIST: twist}[kind]
    messages = [(i * MS, '/motion', kind, made(0.1 * i, 0.0)) for i in range(1, 5)]
    messages[2][3].header.frame_id = 'right_base'
    bag = record(tmp_path / 'bag', messages)
    topics = MotionTopics(**{'pose' if kind == POSE else 'twist': '/motion'})
    with pytest.raises(RecordingError, match=r"/motion is in the frames 'camera', 'right_base'"):
        recorded_motion(bag, topics)


def stamped(message, nanoseconds):
    seconds, message.header.stamp.nanosec = divmod(nanoseconds, 10**9)
    message.header.stamp.sec = seconds
    return message


def test_stamps_of_several_runs_are_not_mixed(tmp_path):
    """A simulator that was started again counts from 0 again."""
    runs = [(t, '/pose', POSE, stamped(pose(0.1, 0.0), t % 3000 * MS + MS)) for t in range(6000)]
    messages = [(t * MS, *rest) for t, *rest in runs[::100]]
    with pytest.raises(RecordingError, match=r'stamps of /pose go back by 2\.9 s, as where a cl'):
        recorded_motion(record(tmp_path / 'twice', messages), MotionTopics(pose='/pose'))
    assert recorded_motion(record(tmp_path / 'once', messages[:30]), MotionTopics(pose='/pose'))


def test_a_gripper_is_known_by_the_clock_of_the_stamps(tmp_path):
    """A recorder's clock is the computer's, where stamps may be a simulator's."""
    started = 1_700_000_000_000 * MS
    messages = [
        *((started + t * MS, '/pose', POSE, stamped(pose(0.1, 0.0), t * MS)) for t in (1, 50, 99)),
        *((started + t * MS, '/grip', NUMBER, number(t / 100)) for t in (0, 40, 80)),
    ]
    bag = record(tmp_path / 'bag', sorted(messages, key=lambda message: message[0]))
    motion = recorded_motion(bag, MotionTopics(pose='/pose', gripper='/grip'))
    assert motion.between(1 * MS, 60 * MS)[6] == 0.4


@pytest.mark.parametrize('position', [np.nan, np.inf])
def test_a_gripper_without_a_position(position):
    with pytest.raises(ValueError, match='give finite positions'):
        MotionTopics(pose='/pose', gripper='/grip', gripper_closed=position)


@pytest.mark.parametrize(
    ('topics', 'way_on'),
    [
        ({'pose': '/grip'}, r'should be .*PoseStamped; publish .*examples/pose_from_tf\.py'),
        ({'twist': '/pose'}, r'should be .*TwistStamped; record stamped velocities'),
        ({'pose': '/pose', 'gripper': '/twist'}, r'should be .*Float64 or .*JointState; publ'),
    ],
)
def test_a_topic_of_another_type_is_told_with_the_way_on(driven, topics, way_on):
    """Arms publish TF, few of them a pose."""
    with pytest.raises(RecordingError, match=way_on):
        recorded_motion(driven, MotionTopics(**topics))


def joints(positions):
    return TYPES.types[JOINTS](
        header=header(),
        name=list(positions),
        position=np.array([p for p in positions.values() if p is not None]),
        velocity=np.zeros(0),
        effort=np.zeros(0),
    )


def with_joints(folder, *said):
    """Three poses, 50 ms apart, and what is said of joints in between."""
    poses = [(t * MS, '/pose', POSE, stamped(pose(0.1, 0.0), t * MS)) for t in (1, 50, 99)]
    messages = [
        (t * MS, '/joint_states', JOINTS, stamped(joints(positions), t * MS))
        for t, positions in zip((10, 20, 30, 40), said, strict=False)
    ]
    return record(folder / 'bag', sorted((*poses, *messages), key=lambda message: message[0]))


def test_the_gripper_may_be_a_joint_among_others(tmp_path):
    """Robots publish their joints; arm and gripper may do so by turns on the same topic."""
    bag = with_joints(
        tmp_path,
        {'elbow': np.nan},
        {'finger': 0.0, 'elbow': 1.0},
        {'elbow': 1.0},
        {'finger': 0.02},
    )
    topics = {'pose': '/pose', 'gripper': '/joint_states', 'gripper_open': 0.04}
    motion = recorded_motion(bag, MotionTopics(**topics, gripper_joint='finger'))
    assert motion.gripper_times.tolist() == [20 * MS, 40 * MS]
    assert motion.between(1 * MS, 35 * MS)[6] == 0.0
    assert motion.between(1 * MS, 60 * MS)[6] == 0.5


def test_a_joint_that_is_alone_needs_no_name(tmp_path):
    bag = with_joints(tmp_path, {'finger': 0.25})
    motion = recorded_motion(bag, MotionTopics(pose='/pose', gripper='/joint_states'))
    assert motion.openings.tolist() == [0.25]


@pytest.mark.parametrize(
    ('said', 'joint', 'fault'),
    [
        ({'elbow': 0.0, 'finger': 0.0}, None, 'has several joints; it has: elbow, finger; say w'),
        ({'elbow': 0.0}, 'finger', r'has no joint finger; it has: elbow; .*\(--gripper-joint\)'),
        ({'finger': np.nan}, 'finger', 'positions that are not finite of the joint finger'),
        ({'finger': None}, 'finger', 'has no positions of the joint finger'),
    ],
)
def test_a_gripper_that_is_not_among_the_joints(tmp_path, said, joint, fault):
    bag = with_joints(tmp_path, said)
    topics = MotionTopics(pose='/pose', gripper='/joint_states', gripper_joint=joint)
    with pytest.raises(RecordingError, match=fault):
        recorded_motion(bag, topics)


def test_a_number_is_of_no_joint(driven):
    topics = MotionTopics(pose='/pose', gripper='/grip', gripper_joint='finger')
    with pytest.raises(RecordingError, match='names no joint: leave out that of the gripper, fin'):
        recorded_motion(driven, topics)


def test_a_joint_without_a_topic():
    with pytest.raises(ValueError, match='but no topic of its positions'):
        MotionTopics(pose='/pose', gripper_joint='finger')
