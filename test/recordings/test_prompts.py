# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Recordings give back what the camera saw, with the instruction that was in force."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recording_files import COMPRESSED, IMAGE, PICTURES, STRING, TYPES, png, raw, record, said
from rosbags.rosbag2 import CompressionMode, Writer

from spec_vla_ros import cli
from spec_vla_ros.raw_pixels import CHANNELS
from spec_vla_ros.recordings.files import RecordingError
from spec_vla_ros.recordings.prompts import (
    RecordingTopics,
    check_recording,
    check_recordings,
    image_times,
    recorded_observations,
)
from spec_vla_ros.training.drafter.sources import recorded_examples

TOPICS = RecordingTopics('/camera/image', '/instruction')


def two_instructions():
    """Eight images at 10, 20, ..., 80; instructions at 25 and 60, an empty one at 75."""
    images = [(10 * (i + 1), '/camera/image', IMAGE, raw(p)) for i, p in enumerate(PICTURES)]
    spoken = [
        (stamp, '/instruction', STRING, said(text))
        for stamp, text in ((25, 'pick up the red block'), (60, ' stack them '), (75, ''))
    ]
    return images + spoken  # the recorder's order is not the order in time


def read(path, topics=TOPICS, **options):
    reports = []
    found = recorded_examples(
        path, topics, answer=tokens_of, episode=4, report=reports.append, **options
    )
    examples = list(found)
    assert all(np.array_equal(e.tokens, tokens_of(e)) for e in examples)
    return examples, reports


def tokens_of(seen):
    return np.array([seen.image.sum(), len(seen.instruction)])


@pytest.fixture(params=['sqlite3', 'mcap', 'file.mcap', 'compressed'])
def recording(request, tmp_path):
    if request.param == 'compressed':
        return record(
            tmp_path / 'bag',
            two_instructions(),
            plugin='sqlite3',
            compression=CompressionMode.FILE,
        )
    plugin = request.param.removeprefix('file.')
    folder = record(tmp_path / 'bag', two_instructions(), plugin=plugin)
    return next(folder.glob('*.mcap')) if request.param == 'file.mcap' else folder


def test_each_image_comes_with_the_instruction_in_force(recording):
    check_recording(recording, TOPICS)
    examples, reports = read(recording)
    assert [e.instruction for e in examples] == ['pick up the red block'] * 3 + ['stack them'] * 2
    np.testing.assert_array_equal([e.image for e in examples], PICTURES[2:7])
    assert {e.episode for e in examples} == {4}
    assert reports == [f'{recording}: 5 of 8 images, 3 left out without an instruction']


def test_instructions_that_the_node_would_refuse_are_none(tmp_path):
    messages = two_instructions()
    messages += [(45, '/instruction', STRING, said('stop'))]
    recording = record(tmp_path / 'bag', messages)
    examples, reports = read(recording)
    assert [e.instruction for e in examples] == ['pick up the red block'] * 2 + ['stack them'] * 2
    assert reports[0].startswith(f"{recording}: refused, as the node would: the instruction is 's")
    assert reports[1] == f'{recording}: 4 of 8 images, 4 left out without an instruction'
    with pytest.raises(ValueError, match="is 'stop', which a policy would try to act out"):
        RecordingTopics('/camera/image', instruction='stop')


@pytest.fixture(params=['message mcap', 'message sqlite3', 'file mcap', 'file sqlite3'])
def compressed_file(request, tmp_path):
    """A file of a compressed recording, taken out of its folder."""
    mode, plugin = request.param.split()
    folder = record(
        tmp_path / 'bag',
        two_instructions(),
        plugin=plugin,
        compression=CompressionMode[mode.upper()],
    )
    file = next(f for f in folder.iterdir() if f.suffix in ('.mcap', '.db3', '.zstd'))
    (folder / 'metadata.yaml').unlink()
    return file.rename(tmp_path / file.name)


def test_a_compressed_file_without_its_metadata_is_read(compressed_file):
    check_recording(compressed_file, TOPICS)
    examples, _ = read(compressed_file)
    assert [e.instruction for e in examples] == ['pick up the red block'] * 3 + ['stack them'] * 2
    np.testing.assert_array_equal([e.image for e in examples], PICTURES[2:7])


def test_a_damaged_compressed_file_is_told(tmp_path):
    file = tmp_path / 'cut.mcap.zstd'
    file.write_bytes(b'\x28\xb5\x2f\xfd and no more')
    with pytest.raises(RecordingError, match=r'cut\.mcap\.zstd cannot be read'):
        check_recording(file, TOPICS)


def test_a_file_may_be_called_zst(tmp_path):
    folder = record(tmp_path / 'bag', two_instructions(), compression=CompressionMode.FILE)
    file = next(folder.glob('*.zstd')).rename(tmp_path / 'bag.mcap.zst')
    assert len(read(file)[0]) == 5


@pytest.mark.parametrize('keep', [0.5, -4])
def test_what_was_cut_off_is_said_with_the_way_to_what_is_there(tmp_path, keep):
    folder = record(tmp_path / 'bag', two_instructions())
    file = next(folder.glob('*.mcap'))
    content = file.read_bytes()
    file.write_bytes(content[: int(keep * len(content)) if keep > 0 else keep])
    way_on = rf'{file.name} was cut off.*`mcap recover {file} -o {folder}/whole_{file.name}`'
    for path in (file, folder):
        with pytest.raises(RecordingError, match=way_on):
            check_recording(path, TOPICS)
    (folder / 'metadata.yaml').unlink()
    with pytest.raises(RecordingError, match=rf'no metadata\.yaml; {way_on}'):
        check_recording(folder, TOPICS)


@pytest.mark.parametrize('plugin', ['mcap', 'sqlite3'])
def test_the_file_of_a_folder_without_metadata_is_named(tmp_path, plugin):
    folder = record(tmp_path / 'bag', two_instructions(), plugin=plugin)
    (folder / 'metadata.yaml').unlink()
    with pytest.raises(RecordingError, match=r'metadata\.yaml; give its file \(') as refused:
        check_recording(folder, TOPICS)
    check_recording(Path(str(refused.value).partition('(')[2].partition(')')[0]), TOPICS)


def test_recordings_of_ros_1_are_to_be_converted(tmp_path):
    (tmp_path / 'old.bag').write_bytes(b'#ROSBAG V2.0')
    with pytest.raises(RecordingError, match=r'old\.bag is a recording of ROS 1: .*rosbags-conv'):
        check_recording(tmp_path / 'old.bag', TOPICS)


@pytest.mark.parametrize(
    ('given', 'inside', 'owner'),
    [
        ('mine', 'meta/info.json', 'LeRobot'),
        ('mine', '1.0.0/dataset_info.json', r'TensorFlow \(RLDS\)'),
        ('mine/1.0.0', 'dataset_info.json', r'TensorFlow \(RLDS\)'),
        ('mine.parquet', '', 'LeRobot'),
        ('mine-train.tfrecord-00000-of-00002', '', r'TensorFlow \(RLDS\)'),
        ('mine.hdf5', '', 'HDF5'),
        ('mine', 'pusht/meta/info.json', 'LeRobot'),
        ('mine/data', 'chunk-000/episode_000000.parquet', 'LeRobot'),
        ('mine', 'bridge/1.0.0/dataset_info.json', r'TensorFlow \(RLDS\)'),
        ('mine', 'demos/demo_0.hdf5', 'HDF5'),
        ('mine', 'pusht.zarr/.zgroup', 'Zarr'),
        ('mine.zarr', 'data/.zgroup', 'Zarr'),
    ],
)
def test_data_sets_of_others_are_told_with_the_way_on(tmp_path, given, inside, owner):
    path = tmp_path / given
    file = path / inside if inside else path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('{}')
    with pytest.raises(RecordingError, match=rf'{given} is a data set of {owner}, .*ros2 bag rec'):
        check_recording(path, TOPICS)


def test_recordings_beside_files_of_others_are_recordings(tmp_path):
    folder = record(tmp_path / 'bag', two_instructions())
    (tmp_path / 'figures.h5').touch()
    (folder / 'figures.h5').touch()
    check_recording(folder, TOPICS)
    with pytest.raises(RecordingError, match='it holds recordings: give those of bag'):
        check_recording(tmp_path, TOPICS)


@pytest.mark.parametrize(
    ('profile', 'said'),
    [
        (b'ros1', r"is no recording of ROS 2, .* profile 'ros1': replay it"),
        (b'ros9', r"is no recording of ROS 2, .* profile 'ros9': replay it"),
        (b'', r'does not say .* `mcap merge \S+/x\.mcap --profile ros2 -o \S+/whole_x\.mcap`'),
    ],
)
def test_an_mcap_of_others_is_told_with_the_way_on(tmp_path, profile, said):
    """Of ROS 1, or of a program that writes JSON or protobuf."""
    folder = record(tmp_path / 'bag', two_instructions())
    content = next(folder.glob('*.mcap')).read_bytes()
    begin = len(b'\x89MCAP0\r\n') + 9
    length = len(profile).to_bytes(4, 'little')
    (tmp_path / 'x.mcap').write_bytes(content[:begin] + length + profile + content[begin + 8 :])
    with pytest.raises(RecordingError, match=rf'x\.mcap {said}'):
        check_recording(tmp_path / 'x.mcap', TOPICS)


def test_what_is_a_part_of_recordings_or_holds_some_is_told(tmp_path):
    folder = record(tmp_path / 'bag', two_instructions())
    with pytest.raises(RecordingError, match=rf'a part of a recording: give its folder {folder}'):
        check_recording(folder / 'metadata.yaml', TOPICS)
    with pytest.raises(RecordingError, match='it holds recordings: give those of bag that are me'):
        check_recording(tmp_path, TOPICS)


def test_images_of_two_cameras_on_one_topic_are_refused(tmp_path):
    def seen_by(camera, pixels):
        message = raw(pixels)
        return replace(message, header=replace(message.header, frame_id=camera))

    images = [
        (10 * i, '/camera/image', IMAGE, seen_by(('front', 'wrist')[i % 2], PICTURES[i]))
        for i in range(8)
    ]
    topics = RecordingTopics('/camera/image', instruction='go')
    with pytest.raises(
        RecordingError, match=r"in the frames 'front', 'wrist', as of several cameras on one to"
    ):
        read(record(tmp_path / 'both', images), topics)
    assert len(read(record(tmp_path / 'one', images[::2]), topics)[0]) == 4


def test_a_recording_that_is_given_twice_is_refused(tmp_path):
    folder = record(tmp_path / 'bag', two_instructions())
    other = record(tmp_path / 'other', two_instructions()[:-1])
    (tmp_path / 'latest').symlink_to(folder)
    check_recordings([folder, other], TOPICS)
    file, copy = next(folder.glob('*.mcap')), tmp_path / 'copy.mcap'
    copy.write_bytes(file.read_bytes())
    for again in (folder, Path(f'{folder}/'), tmp_path / 'latest', file, copy):
        with pytest.raises(RecordingError, match=rf'{folder} and {again} are the same recording'):
            check_recordings([folder, other, again], TOPICS)


def test_every_counts_images_that_have_an_instruction(tmp_path):
    examples, reports = read(record(tmp_path / 'bag', two_instructions()), every=2)
    np.testing.assert_array_equal([e.image for e in examples], PICTURES[[2, 4, 6]])
    assert '3 of 8' in reports[0]


def test_an_instruction_for_the_whole_recording(tmp_path):
    images = [m for m in two_instructions() if m[1] == '/camera/image']
    topics = RecordingTopics('camera/image', instruction='open the drawer')
    examples, reports = read(record(tmp_path / 'bag', images), topics)
    assert [e.instruction for e in examples] == ['open the drawer'] * 8
    assert '8 of 8 images, 0 left out' in reports[0]
    _, reports = read(record(tmp_path / 'spoken', two_instructions()), topics)
    assert reports[0].endswith('the instruction given is used, and none of /instruction')


def test_compressed_images(tmp_path):
    messages = [
        (1, '/instruction', STRING, said('go')),
        (1, '/camera/image', COMPRESSED, png(PICTURES[0])),
    ]
    examples, _ = read(record(tmp_path / 'bag', messages))
    np.testing.assert_array_equal(examples[0].image, PICTURES[0])


@pytest.mark.parametrize('encoding', CHANNELS)
def test_every_encoding_of_raw_images(tmp_path, encoding):
    grey = PICTURES[0][:, :, :1]
    pixels = {
        'rgb8': PICTURES[0],
        'bgr8': PICTURES[0][:, :, ::-1],
        'rgba8': np.dstack((PICTURES[0], grey)),
        'bgra8': np.dstack((PICTURES[0][:, :, ::-1], grey)),
        'mono8': grey,
        'mono16': np.dstack((np.zeros_like(grey), grey)),
    }[encoding]
    message = raw(np.ascontiguousarray(pixels), encoding=encoding, padding=3)
    folder = record(tmp_path / 'bag', [(1, '/camera/image', IMAGE, message)])
    examples, _ = read(folder, RecordingTopics('/camera/image', instruction='go'))
    expected = PICTURES[0] if CHANNELS[encoding] > 2 else np.repeat(grey, 3, axis=2)
    np.testing.assert_array_equal(examples[0].image, expected)


def test_a_missing_topic_lists_those_there_are(tmp_path):
    folder = record(tmp_path / 'bag', two_instructions())
    for topics, there in (
        (RecordingTopics('/wrist', '/instruction'), r'/camera/image \(.*\), /instruction'),
        (RecordingTopics('/camera/image', '/a'), r'/instruction \(std_.*\), /camera/image'),
    ):
        with pytest.raises(RecordingError, match=there):
            check_recording(folder, topics)


def test_a_recording_without_instructions_asks_for_the_text(tmp_path):
    folder = record(tmp_path / 'bag', two_instructions()[:8])
    with pytest.raises(RecordingError, match=r'no topic /instruction; .* give its text'):
        check_recording(folder, TOPICS)


def test_topics_that_may_be_meant_come_first(tmp_path):
    folder = record(tmp_path / 'bag', [(1, '/a', STRING, said('go')), *two_instructions()])
    with pytest.raises(RecordingError, match=r'no topic /image; it has: /camera/image \('):
        check_recording(folder, RecordingTopics('/image', '/instruction'))


def test_a_topic_of_another_type(tmp_path):
    folder = record(tmp_path / 'bag', two_instructions())
    swapped = RecordingTopics('/instruction', '/camera/image')
    with pytest.raises(
        RecordingError, match=r'/instruction is of type std_msgs/msg/String and sh.*; .*republish'
    ):
        check_recording(folder, swapped)


def test_no_image_has_an_instruction(tmp_path):
    late = [m for m in two_instructions() if m[1] != '/instruction']
    late.append((1000, '/instruction', STRING, said('too late')))
    with pytest.raises(RecordingError, match='none of the 8 images'):
        read(record(tmp_path / 'bag', late))


def test_a_topic_without_images(tmp_path):
    writer = Writer(tmp_path / 'bag', version=9)
    with writer:
        writer.add_connection('/camera/image', IMAGE, typestore=TYPES)
    topics = RecordingTopics('/camera/image', instruction='go')
    with pytest.raises(RecordingError, match='has no images'):
        read(tmp_path / 'bag', topics)


def test_an_unknown_encoding_names_image_and_recording(tmp_path):
    depth = raw(PICTURES[0], encoding='16UC1')
    folder = record(tmp_path / 'bag', [(1, '/camera/image', IMAGE, depth)])
    with pytest.raises(RecordingError, match=r"bag: image 1 of /camera/image: encoding '16UC1'"):
        read(folder, RecordingTopics('/camera/image', instruction='go'))


def test_files_that_are_no_recordings(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere: no such recording'):
        check_recording(tmp_path / 'nowhere', TOPICS)
    with pytest.raises(RecordingError, match=r'no metadata\.yaml'):
        check_recording(tmp_path, TOPICS)
    for name in ('video.mp4', 'cut.mcap', 'cut.db3'):
        file = tmp_path / name
        file.write_bytes(b'\x89MCAP0\r\n and no more')
        with pytest.raises(RecordingError, match=f'{name} cannot be read as a rosbag2 recording'):
            check_recording(file, TOPICS)


@pytest.mark.parametrize('given', [{}, {'instruction_topic': '/a', 'instruction': 'b'}])
def test_one_source_of_instructions(given):
    with pytest.raises(ValueError, match='one of the two'):
        RecordingTopics('/image', **given)


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        (['--recording', 'BAG'], 'has no topic /image; it has: '),
        (['--recording', 'BAG', '--image-topic', '/a', '--every', '0'], 'at least 1'),
        (['--recording', 'BAG', '--image-topic', '/a', '--processes', '2'], 'for 1 recordings'),
        (['--recording', 'BAG', '--image-topic', '/a', '--instruction', 'b'], 'has no topic /a'),
        (['--image-topic', '/a'], 'give --recording too'),
    ],
)
def test_the_command_refuses(tmp_path, capsys, options, reason):
    bag = record(tmp_path / 'bag', two_instructions())
    options = [str(bag) if word == 'BAG' else word for word in options]
    out = tmp_path / 'features'
    assert cli.main(['drafter-data', '--out', str(out), *options]) == 2
    assert reason in capsys.readouterr().err
    assert not out.exists()


def test_observations_have_the_cameras_stamp_or_when_they_were_recorded(tmp_path):
    stamped, unstamped = raw(PICTURES[0]), raw(PICTURES[1])
    stamped.header.stamp.sec, stamped.header.stamp.nanosec = 3, 5
    messages = [(100 + i, '/camera/image', IMAGE, m) for i, m in enumerate((stamped, unstamped))]
    topics = RecordingTopics('/camera/image', instruction='go')
    bag = record(tmp_path / 'bag', messages)
    seen = list(recorded_observations(bag, topics, report=lambda text: None))
    assert [o.stamp_ns for o in seen] == [3_000_000_005, 101]


def test_a_camera_that_hung_is_told(tmp_path):
    """A threshold was recommended from a thousand images that are one."""
    for pictures, told in (([0] * 8, True), ([0, 0, 1, 1, 2, 2, 3, 3], False)):
        images = [(i, '/camera/image', IMAGE, raw(PICTURES[p])) for i, p in enumerate(pictures, 1)]
        path = record(tmp_path / f'bag_{told}', images)
        _, reports = read(path, RecordingTopics('/camera/image', instruction='go'))
        assert any('7 of 8 images are the same' in line for line in reports) is told


def test_when_images_were_taken_and_recorded(tmp_path):
    late = raw(PICTURES[0])
    late.header.stamp.sec = 3
    images = [(7, '/camera/image', IMAGE, raw(PICTURES[0])), (9, '/camera/image', IMAGE, late)]
    stamps, recorded = image_times(record(tmp_path / 'bag', images), '/camera/image')
    assert (stamps.tolist(), recorded.tolist()) == ([7, 3 * 10**9], [7, 9])


def test_images_sooner_than_the_interval_are_left_out(tmp_path):
    times = [0, 90, 110, 200, 215, 400, 480, 600]  # milliseconds
    messages = [
        (1_000_000 * t + 1, '/camera/image', IMAGE, raw(p))
        for t, p in zip(times, PICTURES, strict=True)
    ]
    topics = RecordingTopics('/camera/image', instruction='go')
    bag = record(tmp_path / 'bag', messages)
    seen = recorded_observations(bag, topics, interval=0.1, report=lambda text: None)
    assert [(o.stamp_ns - 1) // 1_000_000 for o in seen] == [0, 90, 200, 400, 480, 600]


@pytest.mark.parametrize(('period', 'every'), [(100, 1), (50, 2), (33, 3)])
def test_no_image_is_lost_to_the_jitter_of_a_camera_at_that_interval(tmp_path, period, every):
    """Each second step would be twice as long, and look as if the actions had another scale."""
    rng = np.random.default_rng(0)
    times = [1000 + period * n + int(rng.integers(-4, 5)) for n in range(24)]  # milliseconds
    messages = [(1_000_000 * t, '/camera/image', IMAGE, raw(PICTURES[0])) for t in times]
    bag = record(tmp_path / 'bag', messages)
    topics = RecordingTopics('/camera/image', instruction='go')
    seen = recorded_observations(bag, topics, interval=0.1, report=lambda text: None)
    assert [o.stamp_ns // 1_000_000 for o in seen] == times[::every]
