# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Recorded pictures that the node would refuse are left out, and said; too many are an error."""

import re

import cv2
import numpy as np
import pytest
from recording_files import COMPRESSED, IMAGE, PICTURES, TYPES, header, png, raw, record

from spec_vla_ros.recordings.files import RecordingError
from spec_vla_ros.recordings.prompts import RecordingTopics, recorded_observations


def jpeg(rgb, *, end=None):
    data = cv2.imencode('.jpg', rgb[:, :, ::-1])[1].reshape(-1)[:end]
    return TYPES.types[COMPRESSED](header=header(), format='jpeg', data=data)


BLACK = np.zeros_like(PICTURES[0])


@pytest.mark.parametrize(
    ('kind', 'message', 'spoilt', 'reason'),
    [
        (COMPRESSED, jpeg, lambda p: jpeg(p, end=-40), 'the JPEG is truncated'),
        (COMPRESSED, png, lambda p: png(BLACK), r'the picture is of one colour \(0, 0, 0\)'),
        (IMAGE, raw, lambda p: raw(BLACK), r'the picture is of one colour \(0, 0, 0\)'),
        (IMAGE, raw, lambda p: raw(p, encoding='16UC1'), "encoding '16UC1'"),
    ],
)
def test_pictures_that_the_node_would_refuse_are_left_out(tmp_path, kind, message, spoilt, reason):
    def recorded(name, bad):
        return record(
            tmp_path / name,
            [
                (10 * (i + 1), '/camera/image', kind, spoilt(p) if i in bad else message(p))
                for i, p in enumerate(PICTURES)
            ],
        )

    topics = RecordingTopics('/camera/image', instruction='go')
    some = recorded('some', bad={2, 5, 6, 7})
    reports = []
    seen = list(recorded_observations(some, topics, report=reports.append))
    assert [o.stamp_ns for o in seen] == [10, 20, 40, 50]
    assert len(reports) == 2
    assert re.match(
        f'{some}: 4 of 8 images left out, as the node would refuse them: first image 3 of '
        f'/camera/image: {reason}',
        reports[0],
    )
    assert reports[1] == f'{some}: 4 of 8 images, 0 left out without an instruction'
    most = recorded('most', bad={1, 2, 5, 6, 7})
    with pytest.raises(RecordingError, match=f'image 2 of .*: {reason}.*; 5 of 8 images are ref'):
        list(recorded_observations(most, topics, report=reports.append))


@pytest.mark.parametrize(
    ('picture', 'said'),
    [
        (lambda p: np.repeat(p[:, :, :1], 3, axis=2), 'pictures have no colour'),
        (lambda p: np.tile(p, (1, 4, 1)), 'pictures are of 64 x 20 pixels: two side by side'),
    ],
)
def test_what_the_node_warns_of_is_told(tmp_path, picture, said):
    pictures = [picture(p) if i > 4 else p for i, p in enumerate(PICTURES)]
    messages = [(10 * (i + 1), '/image', IMAGE, raw(p)) for i, p in enumerate(pictures)]
    reports = []
    topics, path = RecordingTopics('/image', instruction='go'), record(tmp_path / 'bag', messages)
    assert len(list(recorded_observations(path, topics, report=reports.append))) == len(PICTURES)
    assert reports[0].startswith(f'{path}: warning: 3 of 8 images are doubtful: {said}')
