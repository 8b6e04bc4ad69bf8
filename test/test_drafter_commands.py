# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""From recordings to features to a drafter, by the two commands."""

import pytest
from recording_files import IMAGE, PICTURES, STRING, raw, record, said
from toy_checkpoint import write_tiny

from spec_vla_ros import cli
from spec_vla_ros.training.drafter_data import read_features


@pytest.fixture(scope='module')
def target(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp('target'))


@pytest.fixture(scope='module')
def features(target, tmp_path_factory):
    """The folder of features of two recordings, and the options they were made with."""
    folder = tmp_path_factory.mktemp('recordings')
    for name in 'ab':
        images = [(i + 2, '/image', IMAGE, raw(p)) for i, p in enumerate(PICTURES)]
        record(
            folder / name, [(1, '/instruction', STRING, said('pick up the red block')), *images]
        )
    options = ['--checkpoint', str(target), '--out', str(folder / 'features')]
    options += ['--recording', str(folder / 'a'), str(folder / 'b'), '--image-topic', '/image']
    options += ['--instruction-topic', '/instruction', '--every', '2']
    assert cli.main(['drafter-data', *options]) == 0
    return folder / 'features', options


def test_recordings_become_features(features):
    folder, _ = features
    found = read_features(folder)
    assert found.episodes.tolist() == [0] * 4 + [1] * 4
    assert found.tokens.shape == (8, 7)


def test_features_of_other_options_are_not_mixed_in(features, capsys):
    folder, options = features
    assert cli.main(['drafter-data', *options[:-1], '4']) == 2
    assert 'made with other options' in capsys.readouterr().err
    assert len(read_features(folder)) == 8


def test_episodes_of_several_folders_stay_apart(features):
    folder, _ = features
    assert read_features(folder, folder).episodes.tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
