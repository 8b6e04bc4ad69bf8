# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Damaged recordings: the images that can be read, or a RecordingError that names the file."""

import numpy as np
import pytest
from fuzzing import attempt, damaged_bytes, fuzz
from hypothesis import given
from hypothesis import strategies as st
from recording_files import COMPRESSED, IMAGE, PICTURES, STRING, png, raw, record, said

from spec_vla_ros.recordings.files import RecordingError
from spec_vla_ros.recordings.prompts import (
    RecordingTopics,
    check_recording,
    recorded_observations,
)

TOPICS = RecordingTopics('/image', '/instruction')


def make(folder, plugin, *, compressed):
    kind, message = (COMPRESSED, png) if compressed else (IMAGE, raw)
    images = [(10 * (i + 2), '/image', kind, message(p)) for i, p in enumerate(PICTURES)]
    spoken = [(1, '/instruction', STRING, said('pick up the red block'))]
    return record(folder, spoken + images, plugin=plugin)


def read(path):
    """Check and read everything; what comes must be usable."""
    check_recording(path, TOPICS)
    seen = list(recorded_observations(path, TOPICS, report=lambda text: None))
    for observation in seen:
        assert observation.image.dtype == np.uint8
        assert observation.image.ndim == 3
        assert observation.instruction.strip()
    return seen


def read_damaged(file, damaged, path):
    before = file.read_bytes()
    try:
        file.write_bytes(damaged)
        seen, refusal = attempt(lambda: read(path), RecordingError)
        assert seen or path.name in refusal
    finally:
        file.write_bytes(before)


@pytest.mark.parametrize('compressed', [False, True])
@pytest.mark.parametrize(('plugin', 'suffix'), [('mcap', '.mcap'), ('sqlite3', '.db3')])
@pytest.mark.parametrize('bare', [False, True])
def test_damaged_data(tmp_path, plugin, suffix, compressed, bare):
    folder = make(tmp_path / 'bag', plugin, compressed=compressed)
    file = next(folder.glob(f'*{suffix}'))
    content = file.read_bytes()
    assert len(read(file if bare else folder)) == len(PICTURES)

    @fuzz(60)
    @given(damaged=damaged_bytes(content))
    def try_it(damaged):
        read_damaged(file, damaged, file if bare else folder)

    try_it()


def test_damaged_metadata(tmp_path):
    folder = make(tmp_path / 'bag', 'mcap', compressed=False)
    file = folder / 'metadata.yaml'
    content = file.read_bytes()

    @fuzz(100)
    @given(damaged=st.one_of(damaged_bytes(content), st.binary(max_size=60)))
    def try_it(damaged):
        read_damaged(file, damaged, folder)

    try_it()


@pytest.mark.parametrize('suffix', ['.mcap', '.db3', '.bag', ''])
def test_files_of_noise(tmp_path, suffix):
    file = tmp_path / f'noise{suffix}'
    start = {'.mcap': b'\x89MCAP0\r\n', '.db3': b'SQLite format 3\x00'}.get(suffix, b'')

    @fuzz(40)
    @given(noise=st.binary(max_size=300), real_start=st.booleans())
    def try_it(noise, real_start):
        file.write_bytes((start if real_start else b'') + noise)
        _, refusal = attempt(lambda: read(file), RecordingError)
        assert file.name in refusal

    try_it()
