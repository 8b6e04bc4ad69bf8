# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Files that appear whole or not at all."""

import pytest

from spec_vla_ros.files import written_whole


def test_a_file_that_is_there_stays_until_the_new_one_is_whole(tmp_path):
    file = tmp_path / 'report.json'
    file.write_text('old')
    with written_whole(file) as partial:
        partial.write_text('new')
        assert file.read_text() == 'old'
    assert file.read_text() == 'new'
    assert [*tmp_path.iterdir()] == [file]


def test_what_fails_leaves_nothing_behind(tmp_path):
    file = tmp_path / 'report.json'
    file.write_text('old')

    def fail():
        with written_whole(file) as partial:
            partial.write_text('ne')
            raise OSError('no space left on device')

    with pytest.raises(OSError, match='no space left'):
        fail()
    assert file.read_text() == 'old'
    assert [*tmp_path.iterdir()] == [file]


def test_files_that_differ_in_their_ending_are_written_side_by_side(tmp_path):
    figures, picture = tmp_path / 'report.json', tmp_path / 'report.png'
    with written_whole(figures) as one, written_whole(picture) as other:
        one.write_text('figures')
        other.write_text('picture')
    assert (figures.read_text(), picture.read_text()) == ('figures', 'picture')
