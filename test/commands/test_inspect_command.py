# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla inspect` tells what a folder is; it succeeds exactly where it can be used."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_checkpoint import write_tiny, write_tiny_drafter

from spec_vla_ros import cli
from spec_vla_ros.checkpoints import TABLETOP

WEIGHTS = 'model.safetensors'
METRES = {'q01': [-0.01] * 7, 'q99': [0.03] * 7, 'mask': [True] * 6 + [False]}


@pytest.fixture
def folder(tmp_path):
    return write_tiny(tmp_path / 'checkpoint')


@pytest.fixture
def inspect(folder, capsys):
    """Run the command on the folder: its status, what it prints, what it complains of."""

    def run(*options, of=folder):
        status = cli.main(['inspect', str(of), '--device', 'cpu', *options])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def edit_json(folder, name, **changes):
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**content, **changes}))


def test_it_tells_everything(folder, inspect):
    stats = {'mine': {'action': METRES}, 'bare': {'action': {'mean': [0.0]}}}
    (folder / 'dataset_statistics.json').write_text(json.dumps(stats))
    (folder / 'optimizer.pt').touch()
    write_tiny_drafter(folder)
    status, out, err = inspect('--unnorm-key', 'mine')
    assert (status, err) == (0, '')
    for said in (
        'OpenVLA, 2 vision tower(s), llama2-7b-pure',
        'spec_vla_vit_patch16_64 at 64 px',
        'resized to 64 x 64 bicubic, middle 64 x 64, mean 0.485 0.456 0.406',
        r"prompt      'In: What action should the robot take to {instruction}?\nOut:'",
        'tokenizer   tokenizer.json',
        'mine: 7 dimensions, usable',
        'x (m)        -0.0100 to +0.0300',
        'yaw (rad)    -0.0100 to +0.0300',
        'gripper      -1.0000 to +1.0000',
        "bare: not usable: norm stats 'bare' in dataset_statistics.json lack action.q01 or",
        "a trainer's state is here too (optimizer.pt)",
        'drafter     fits its target',
        "'pick up the red block' with mine: 7 action tokens",
    ):
        assert said in out


def test_the_shipped_policy(inspect):
    status, out, _ = inspect(of=TABLETOP)
    assert status == 0
    assert 'tabletop: 7 dimensions, usable' in out
    assert 'fits its target' in out
    assert 'cannot be metres' not in out


def test_headers_only_loads_nothing(folder, inspect, monkeypatch):
    monkeypatch.setattr('spec_vla_ros.policy.load_openvla', None)
    status, out, _ = inspect('--headers-only')
    assert status == 0
    assert 'asked       nothing' in out


@pytest.mark.parametrize('more', [(), ('--headers-only',)])
@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('--unnorm-key', 'typo'), "unknown unnorm_key 'typo': the checkpoint has 'tiny'"),
        (('--drafter', '/nope'), '/nope is not a folder'),
    ],
)
def test_what_is_asked_for_and_not_there_fails(inspect, options, more, message):
    status, _, err = inspect(*options, *more)
    assert status == 2
    assert message in err


@pytest.mark.parametrize('options', [(), ('--headers-only',)])
def test_weights_that_do_not_fit(folder, inspect, options):
    save_file({**load_file(folder / WEIGHTS), 'extra': torch.zeros(2)}, folder / WEIGHTS)
    status, _, err = inspect(*options)
    assert status == 2
    assert 'unexpected: extra' in err


def test_the_vicuna_prompt_of_one_tower(tmp_path, inspect):
    folder = write_tiny(tmp_path / 'v01', fused=False)
    edit_json(folder, 'config.json', llm_backbone_id='vicuna-v15-7b')
    _, out, _ = inspect('--headers-only', of=folder)
    assert '1 vision tower(s), vicuna-v15-7b' in out
    assert 'USER: What action should the robot take to {instruction}? ASSISTANT:' in out


def test_answers_in_words_are_told(tmp_path, inspect):
    status, _, err = inspect(of=write_tiny(tmp_path / 'words', answers='words'))
    assert status == 2
    assert 'answered in words instead of an action' in err


def test_words_that_it_does_not_know(folder, inspect, tmp_path):
    tokenizer = json.loads((folder / 'tokenizer.json').read_text())
    del tokenizer['model']['vocab']['red']
    (folder / 'tokenizer.json').write_text(json.dumps(tokenizer))
    status, out, _ = inspect()
    assert status == 0
    assert "does not know the words 'red'" in out
    assert '--instruction' in out
    status, _, err = inspect('--instruction', 'pick up the red block')
    assert status == 2
    assert "'red'" in err
    assert inspect('--instruction', 'pick up the green block')[0] == 0


@pytest.mark.parametrize('options', [(), ('--headers-only',)])
def test_an_empty_instruction_is_not_replaced(inspect, monkeypatch, options):
    monkeypatch.setattr('spec_vla_ros.policy.load_openvla', None)
    status, _, err = inspect('--instruction', ' ', *options)
    assert status == 2
    assert 'the instruction is empty' in err


def test_no_tokenizer_fails(folder, inspect):
    (folder / 'tokenizer.json').unlink()
    status, _, err = inspect()
    assert status == 2
    assert 'has no tokenizer.json or tokenizer.model' in err


def test_no_usable_data_set_fails(folder, inspect):
    edit_json(folder, 'config.json', norm_stats={'bare': {'action': {'mean': [0.0]}}})
    status, out, err = inspect()
    assert status == 2
    assert 'bare: not usable' in out
    assert 'un-normalised: add the dataset_statistics.json' in err
    (folder / 'dataset_statistics.json').write_text('{"norm_stats": {"actions": {}}}')
    status, out, err = inspect()
    assert status == 2
    assert "'norm_stats' in dataset_statistics.json lack action.q01" in out
    assert 'mend what is said of them above' in err


def test_reversed_bounds_fail(folder, inspect):
    reversed_z = {'q01': [-0.1, -0.1, 0.1] + [-0.1] * 4, 'q99': [0.1, 0.1, -0.1] + [0.1] * 4}
    edit_json(folder, 'config.json', norm_stats={'mine': {'action': reversed_z}})
    status, out, _ = inspect()
    assert status == 2
    assert "'mine' in config.json: q01 is above q99 in dimension 2" in out


@pytest.mark.parametrize('options', [(), ('--headers-only',)])
def test_a_drafter_of_another_target_fails(folder, inspect, tmp_path, options):
    other = write_tiny_drafter(write_tiny(tmp_path / 'other', hidden=64))
    status, _, err = inspect('--drafter', str(other / 'drafter'), *options)
    assert status == 2
    assert 'made for another target: hidden_size is 64' in err


def test_other_units_and_other_robots_are_said(folder, inspect):
    stats = {
        'units': {'action': {'q01': [-1.0] * 7, 'q99': [1.0] * 7}},
        'arms': {'action': {'q01': [-0.1] * 14, 'q99': [0.1] * 14}},
    }
    (folder / 'dataset_statistics.json').write_text(json.dumps(stats))
    status, out, _ = inspect('--headers-only')
    assert status == 0
    assert 'a step of 1.00 cannot be metres' in out
    assert 'arms: 14 dimensions, usable\n            by the library only' in out


LIBERO = {'q01': [-0.9] * 6 + [0.0], 'q99': [0.9] * 6 + [1.0], 'mask': [True] * 6 + [False]}


def test_a_recipe_is_suggested_and_not_applied(folder, inspect):
    stats = {'libero_goal_no_noops': {'action': LIBERO}}
    (folder / 'dataset_statistics.json').write_text(json.dumps(stats))
    status, out, _ = inspect('--headers-only')
    assert status == 0
    assert 'recipe      plain (pictures and actions as they are)' in out
    assert 'x (m)        -0.9000 to +0.9000' in out
    assert 'a step of 0.90 cannot be metres' in out
    assert 'recipe libero (image_rotation 180' in out
    assert 'not applied' in out


def test_with_its_recipe_bounds_are_those_of_the_robot(folder, inspect):
    stats = {'libero_goal_no_noops': {'action': LIBERO}, 'mine': {'action': METRES}}
    (folder / 'dataset_statistics.json').write_text(json.dumps(stats))
    status, out, _ = inspect('--recipe', 'libero', '--set', 'image_crop=1.0')
    assert status == 0
    assert 'recipe      libero (image_rotation 180, jpeg_quality 95, resampling lanczos, g' in out
    assert 'x (m)        -0.0450 to +0.0450' in out
    assert 'yaw (rad)    -0.4500 to +0.4500' in out
    assert 'gripper      +0.0000 to +1.0000 (the policy says -1 to 1; its training dat' in out
    assert 'suggested' not in out
    assert "'pick up the red block' with libero_goal_no_noops: 7 action tokens" in out


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        (('--recipe', 'nowhere.yaml'), 'none of plain, libero, bridge'),
        (('--set', 'image_crop'), 'give FIELD=VALUE'),
        (('--set', 'image_crop=[1'), 'is no YAML value'),
        (
            ('--set', 'image_crop=0.9', '--set', 'image_crop=0.8'),
            '--set image_crop=0.8: image_crop is given twice, as 0.9 and as 0.8',
        ),
        (('--set', 'image_crop=2'), 'image_crop 2 is not above 0 and at most 1'),
    ],
)
def test_bad_recipes_end_in_an_error(inspect, options, reason):
    status, _, err = inspect('--headers-only', *options)
    assert status == 2
    assert reason in err


def test_what_the_folder_is_instead(folder, inspect):
    (folder / 'action_head--1_checkpoint.pt').touch()
    status, _, err = inspect()
    assert status == 2
    assert 'OpenVLA-OFT' in err
    assert err.count('\n') == 1
