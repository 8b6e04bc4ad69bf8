# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the node had in force counts, where its status was recorded, and not what was only said."""

from pathlib import Path

import pytest
from recording_files import IMAGE, PICTURES, STRING, TYPES, raw, record, said
from rosbags.typesys import get_types_from_msg

from spec_vla_ros.recordings.prompts import (
    RecordingTopics,
    check_recording,
    recorded_observations,
)

STATUS = 'spec_vla_ros/msg/PolicyStatus'
TYPES.register(
    get_types_from_msg((Path(__file__).parents[2] / 'msg/PolicyStatus.msg').read_text(), STATUS)
)
INACTIVE, RUNNING, HALTED = 0, 1, 2
ARM = RecordingTopics('/image', '/arm/instruction')


def status(state, instruction):
    kind = TYPES.types[STATUS]
    texts = {'reason_text': '', 'instruction': instruction, 'draft_plan': '', 'not_heard': []}
    stamp = TYPES.types['builtin_interfaces/msg/Time'](sec=0, nanosec=0)
    header = TYPES.types['std_msgs/msg/Header'](stamp=stamp, frame_id='')
    zeros = dict.fromkeys(kind.__dataclass_fields__, 0)
    zeros.pop('__msgtype__', None)
    return kind(**{**zeros, **texts, 'drafting_off': False, 'header': header, 'state': state})


def instructions(folder, messages, topics=ARM):
    """Eight images at 10, 20, ..., 80, and what else was recorded -> instructions, reports."""
    images = [(10 * n, '/image', IMAGE, raw(PICTURES[n - 1])) for n in range(1, 9)]
    bag, reports = record(folder / 'bag', [*images, *messages]), []
    check_recording(bag, topics)
    found = recorded_observations(bag, topics, report=reports.append)
    return [seen.instruction for seen in found], reports


def test_stops_and_goals_are_seen_in_the_status(tmp_path):
    found, reports = instructions(
        tmp_path,
        [
            (5, '/arm/instruction', STRING, said('stack them')),
            (6, '/arm/status', STATUS, status(RUNNING, 'stack them')),
            (25, '/arm/status', STATUS, status(HALTED, '')),
            (45, '/arm/status', STATUS, status(RUNNING, 'open the drawer')),
            (65, '/arm/status', STATUS, status(INACTIVE, 'open the drawer')),
        ],
    )
    assert found == ['stack them'] * 2 + ['open the drawer'] * 2
    assert reports[0].endswith('those that the node had in force, by its status in /arm/status')


@pytest.mark.parametrize(
    'others',
    [
        [(6, '/arm/status', STATUS, status(INACTIVE, ''))],
        [(6, f'/{arm}/status', STATUS, status(RUNNING, 'no')) for arm in ('left', 'right')],
        [(6, '/left/status', STATUS, status(RUNNING, 'no'))],
    ],
    ids=['a node that drove nothing', 'nodes of other arms', 'the node of another arm'],
)
def test_what_was_said_counts_beside(tmp_path, others):
    spoken = (5, '/arm/instruction', STRING, said('stack them'))
    assert instructions(tmp_path, [spoken, *others])[0] == ['stack them'] * 8


def test_of_two_nodes_that_of_the_same_namespace_counts(tmp_path):
    """Also where nothing was said on its topic: it was given goals."""
    found, _ = instructions(
        tmp_path,
        [
            (6, '/arm/status', STATUS, status(RUNNING, 'stack them')),
            (7, '/other/status', STATUS, status(RUNNING, 'open the drawer')),
        ],
    )
    assert found == ['stack them'] * 8


def test_the_only_node_counts_where_nothing_was_said_on_the_topic(tmp_path):
    found, _ = instructions(tmp_path, [(6, '/other/status', STATUS, status(RUNNING, 'stack'))])
    assert found == ['stack'] * 8
