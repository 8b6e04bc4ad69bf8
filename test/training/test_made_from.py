# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What a folder's files were made from: the same goes on, anything else is refused by name."""

import json
from pathlib import Path

import pytest

from spec_vla_ros.training.made_from import NOTE, MadeFrom, check_features

OPTIONS = {'seed': 0, 'data': [Path('a')], 'iterations': 20}


def made_from(folder, *, contents=None, **changes):
    return MadeFrom(
        folder,
        {**OPTIONS, **changes},
        'give another --out',
        contents=contents or {},
        grow=('iterations',),
    )


@pytest.fixture
def folder(tmp_path):
    """A folder with a file, and the note of its options."""
    made_from(tmp_path / 'work').write()
    (tmp_path / 'work' / 'state.pt').touch()
    return tmp_path / 'work'


def check(folder, **changes):
    made_from(folder, **changes).check(sorted(folder.glob('*.pt')))


@pytest.mark.parametrize('changes', [{}, {'iterations': 40}])
def test_the_same_and_more_of_the_same_go_on(folder, changes):
    check(folder, **changes)


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'seed': 1}, 'seed was 0, is 1'),
        ({'data': [Path('a'), Path('b')]}, r"data was \['a'\], is \['a', 'b'\]"),
        ({'iterations': 10}, 'iterations was 20, is 10'),
        ({'noise': 0.1}, 'noise was None, is 0.1'),
    ],
)
def test_other_options_are_refused_by_name(folder, changes, said):
    with pytest.raises(ValueError, match=f'{NOTE}.*{said}.* or give another --out'):
        check(folder, **changes)


def test_other_contents_are_refused(folder):
    made_from(folder, contents={'weights': '12ab'}).write()
    check(folder, contents={'weights': '12ab'})
    with pytest.raises(ValueError, match=r'weights was 12ab, is 34cd.* or give another --out'):
        check(folder, contents={'weights': '34cd'})


def test_a_note_of_before_is_told_from_one_that_differs(folder):
    """It cannot say whether what was read has changed."""
    now = {'contents': {'weights': '12ab'}, 'data': [Path('/x/a')]}
    said = rf'{NOTE} is of an older version and does not say weights: data was \[.*give another'
    with pytest.raises(ValueError, match=said) as refused:
        check(folder, **now)
    (folder / NOTE).write_text(str(refused.value).partition(f'into {NOTE}: ')[2])
    check(folder, **now)


def test_where_nothing_was_made_anything_goes(folder):
    (folder / 'state.pt').unlink()
    check(folder, seed=1)


def test_without_the_note_the_message_brings_it(folder):
    note = folder / NOTE
    note.unlink()
    with pytest.raises(ValueError, match=r'state\.pt is there, but no .*give another') as refused:
        check(folder)
    note.write_text(str(refused.value).partition(f'into {NOTE}: ')[2])
    check(folder)
    assert json.loads(note.read_text())['data'] == ['a']


@pytest.mark.parametrize('text', ['', '{"seed"', '7', '{"iterations": "many"}'])
def test_a_damaged_note_is_named(folder, text):
    (folder / NOTE).write_text(text)
    with pytest.raises(ValueError, match=f'{NOTE} cannot be read'):
        check(folder)


def test_features_of_another_checkpoint_are_refused(tmp_path):
    """Fine-tunes of one base embed words alike, so that their features do not tell."""
    file = tmp_path / 'features' / 'part_0' / 'features_00000.safetensors'
    check_features([file], weights='12ab')
    made_from(tmp_path / 'features').write(complete_for='12ab')
    check_features([file], weights='12ab')
    with pytest.raises(ValueError, match='features are of other weights than'):
        check_features([file], weights='34cd')
    (tmp_path / 'features' / NOTE).write_text('[')
    with pytest.raises(ValueError, match=f'{NOTE} cannot be read'):
        check_features([file], weights='12ab')


def test_features_of_an_interrupted_command_are_told(tmp_path):
    """A drafter learnt from a part of the recordings, without a word."""
    file = tmp_path / 'features' / 'part_0' / 'features_00000.safetensors'
    note = made_from(tmp_path / 'features')
    for write in (lambda: None, note.write):
        write()
        (said,) = check_features([file, file], weights='12ab')
        assert f'{tmp_path / "features"} may lack features' in said
    note.write(complete_for='12ab')
    assert check_features([file], weights='12ab') == []
    note.check([file])
