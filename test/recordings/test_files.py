# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A recording is read whole, whatever its metadata.yaml has become; else the reason is told."""

import errno
import shutil
import sqlite3
from tempfile import gettempdir

import numpy as np
import pytest
import yaml
from backports import zstd
from recording_files import IMAGE, PICTURES, STRING, TYPES, raw, record, said
from rosbags.rosbag2 import StoragePlugin, Writer

from spec_vla_ros.recordings.files import RecordingError
from spec_vla_ros.recordings.prompts import (
    RecordingTopics,
    check_recording,
    recorded_observations,
)

TOPICS = RecordingTopics('/image', '/instruction')
QOS = {'depth': 7, 'reliability': 'best_effort'}


def shown(first, last):
    return [(10 * i, '/image', IMAGE, raw(PICTURES[i])) for i in range(first, last)]


def make(folder, plugin='mcap'):
    return record(folder, [(0, '/instruction', STRING, said('go')), *shown(0, 8)], plugin=plugin)


def data_file(folder):
    return next(f for f in folder.iterdir() if f.suffix in ('.mcap', '.db3'))


def edit(folder, **changes):
    file = folder / 'metadata.yaml'
    content = yaml.safe_load(file.read_text())
    content['rosbag2_bagfile_information'].update(changes)
    file.write_text(yaml.safe_dump(content))


def pictures(path):
    check_recording(path, TOPICS)
    return [o.image for o in recorded_observations(path, TOPICS, report=lambda text: None)]


@pytest.mark.parametrize('plugin', ['mcap', 'sqlite3'])
@pytest.mark.parametrize(
    'changes',
    [
        {'topics_with_message_count': []},
        {'storage_identifier': 'other'},
        {'version': 99},
        {'compression_format': 'zstd', 'compression_mode': 'FILE'},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_metadata_that_were_edited_hide_nothing(tmp_path, plugin, changes):
    folder = make(tmp_path / 'bag', plugin)
    edit(folder, **changes)
    np.testing.assert_array_equal(pictures(folder), PICTURES)


def test_another_quality_of_service_hides_nothing(tmp_path):
    """People change it there for `ros2 bag play`."""
    folder = make(tmp_path / 'bag')
    content = yaml.safe_load((folder / 'metadata.yaml').read_text())
    topics = content['rosbag2_bagfile_information']['topics_with_message_count']
    for topic in topics:
        topic['topic_metadata']['offered_qos_profiles'] = [QOS]
    edit(folder, topics_with_message_count=topics)
    np.testing.assert_array_equal(pictures(folder), PICTURES)


def test_what_was_compressed_later_is_read(tmp_path):
    folder = make(tmp_path / 'bag')
    file = data_file(folder)
    (folder / f'{file.name}.zst').write_bytes(zstd.compress(file.read_bytes()))
    np.testing.assert_array_equal(pictures(folder), PICTURES)  # once, though it is there twice
    file.unlink()
    np.testing.assert_array_equal(pictures(folder), PICTURES)


def test_where_there_is_no_room_to_unpack_is_said(tmp_path, monkeypatch):
    file = tmp_path / 'run.mcap.zst'
    file.write_bytes(zstd.compress(data_file(make(tmp_path / 'bag')).read_bytes()))

    def full(compressed, written):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(shutil, 'copyfileobj', full)
    why = rf'{file} cannot be unpacked into {gettempdir()} \(No space left on device\).* TMPDIR'
    with pytest.raises(OSError, match=why):
        pictures(file)


@pytest.mark.parametrize('plugin', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('compressed', [False, True])
@pytest.mark.parametrize(
    'name', ['run.MCAP', 'run.db', 'run.mcap', 'run.db3', 'run.mcap.zstd', 'run']
)
def test_a_file_is_known_by_its_content(tmp_path, plugin, compressed, name):
    content = data_file(make(tmp_path / 'bag', plugin)).read_bytes()
    (tmp_path / name).write_bytes(zstd.compress(content) if compressed else content)
    np.testing.assert_array_equal(pictures(tmp_path / name), PICTURES)


@pytest.fixture
def split(tmp_path):
    """A recording in two files, of which the later one comes first by its name."""
    folder = make(tmp_path / 'bag')
    shutil.move(data_file(folder), tmp_path / 'whole.mcap')
    later = record(tmp_path / 'b', shown(4, 8))
    first = record(tmp_path / 'a', [(0, '/instruction', STRING, said('go')), *shown(0, 4)])
    shutil.move(data_file(later), folder / 'bag_1.mcap')
    shutil.move(data_file(first), folder / 'bag_2.mcap')
    edit(folder, relative_file_paths=['elsewhere/bag_1.mcap', 'bag_2.mcap'])
    return folder


def test_a_part_without_instructions_asks_for_the_whole(split, tmp_path):
    """As of `bags/*.mcap`: it ended the replay after hours, or asked for the text."""
    whole = f'it is a part of a recording: give the whole, {split}'
    with pytest.raises(RecordingError, match=f'has no topic /instruction.*{whole}'):
        check_recording(split / 'bag_1.mcap', TOPICS)
    with Writer(tmp_path / 'c', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, kind in (('/instruction', STRING), ('/image', IMAGE)):
            connection = writer.add_connection(topic, kind, typestore=TYPES)
        for stamp, _, _, image in shown(4, 8):
            writer.write(connection, stamp, TYPES.serialize_cdr(image, IMAGE))
    with pytest.raises(RecordingError, match='/instruction has no messages: where none was rec'):
        check_recording(tmp_path / 'c', TOPICS)
    shutil.move(data_file(tmp_path / 'c'), split / 'bag_1.mcap')
    with pytest.raises(RecordingError, match=f'/instruction has no messages; {whole}'):
        check_recording(split / 'bag_1.mcap', TOPICS)
    np.testing.assert_array_equal(pictures(split), PICTURES)


def test_files_are_read_in_the_order_of_time(split):
    np.testing.assert_array_equal(pictures(split), PICTURES)


@pytest.mark.parametrize(
    ('named', 'reason'),
    [
        (['bag_1.mcap'], r'bag_2\.mcap is not in it; .* run `ros2 bag reindex'),
        (['bag_1.mcap', 'bag_2.mcap', 'bag_3.mcap'], r'bag_3\.mcap is not there; copy'),
    ],
)
def test_what_metadata_do_not_fit_is_told(split, named, reason):
    edit(split, relative_file_paths=named)
    with pytest.raises(RecordingError, match=rf'metadata\.yaml does not fit its folder: {reason}'):
        check_recording(split, TOPICS)


def test_metadata_that_say_nothing_are_told_with_the_way_on(split, tmp_path):
    (split / 'metadata.yaml').write_text('')
    with pytest.raises(RecordingError, match=r'reindex .* if its 2 files are one recording'):
        check_recording(split, TOPICS)
    folder = make(tmp_path / 'one')
    (folder / 'metadata.yaml').write_text('')
    with pytest.raises(RecordingError, match=r'yaml cannot be read .*: give its file \('):
        check_recording(folder, TOPICS)


def test_messages_that_a_killed_recorder_left_beside_are_told(tmp_path):
    folder = make(tmp_path / 'bag', 'sqlite3')
    file = data_file(folder)
    recorder = sqlite3.connect(file)
    recorder.execute('PRAGMA journal_mode=WAL')
    recorder.execute('INSERT INTO messages SELECT NULL, topic_id, timestamp, data FROM messages')
    recorder.commit()
    shutil.copytree(folder, tmp_path / 'killed')  # before it is closed
    recorder.close()
    for path in (tmp_path / 'killed', tmp_path / 'killed' / file.name):
        with pytest.raises(RecordingError, match=r'lacks messages that are in bag\.db3-wal'):
            check_recording(path, TOPICS)
    with sqlite3.connect(tmp_path / 'killed' / file.name) as mended:
        mended.execute('PRAGMA wal_checkpoint(TRUNCATE)')
    assert len(pictures(tmp_path / 'killed')) == 2 * len(PICTURES)
    mended.close()


@pytest.mark.parametrize(
    ('name', 'content', 'reason'),
    [
        ('old.bag.active', b'#ROSBAG V2.0\n', 'is a recording of ROS 1: convert'),
        ('bag.tar.gz', b'\x1f\x8b', r'unpack it, `tar -xf \S+bag\.tar\.gz`'),
        ('bag.tar.zst', zstd.compress(b'bag/'), r'unpack it, `tar -xf \S+bag\.tar\.zst`'),
        ('bag.tar', b'bag/metadata.yaml', r'unpack it, `tar -xf \S+bag\.tar`'),
        ('run.mcap.gz', b'\x1f\x8b\x08', r'unpack it, `gunzip -k \S+run\.mcap\.gz`'),
        ('run.mcap.bz2', b'BZh9', 'unpack it, `bunzip2 -k'),
        ('run.mcap.lz4', b'\x04\x22\x4d\x18', 'unpack it, `lz4 -d'),
        ('run.zip', b'PK\x03\x04', 'unpack it, `unzip'),
        ('run.txt', b'words', 'holds neither MCAP nor SQLite; give the folder'),
        ('bag.mcap', b'', 'is empty: its recorder was killed before it wrote, or the disk was'),
        ('bag.db3', bytes(4096), 'is empty: its recorder was killed'),
        ('cut.db3', b'SQLite format 3\0', r'`sqlite3 \S+cut\.db3 \.recover \| sqlite3 \S+whole_c'),
    ],
)
def test_other_files_are_told_with_the_way_on(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordingError, match=rf'{name} .*{reason}'):
        check_recording(tmp_path / name, TOPICS)


def test_a_compressed_file_that_was_cut_off_is_told_with_the_way_on(tmp_path):
    content = zstd.compress(data_file(make(tmp_path / 'bag')).read_bytes())
    (tmp_path / 'run.mcap.zst').write_bytes(content[: len(content) // 2])
    reason = r'run\.mcap\.zst was cut off: copy it again, or .*`zstd -dc \S+ > \S+cut_run\.mcap`'
    with pytest.raises(RecordingError, match=reason):
        check_recording(tmp_path / 'run.mcap.zst', TOPICS)


def test_an_empty_file_of_a_folder_is_told(tmp_path):
    folder = make(tmp_path / 'bag')
    data_file(folder).write_bytes(b'')
    with pytest.raises(RecordingError, match=r'bag\.mcap is empty'):
        check_recording(folder, TOPICS)
