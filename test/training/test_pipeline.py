# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The whole pipeline on next to nothing: every stage runs, resumes, and its checkpoint loads."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from recorded_engine import needs_gpu

from spec_vla_ros import cli
from spec_vla_ros.policy import load_policy
from spec_vla_ros.sim.scene import HELD_OUT_SEEDS
from spec_vla_ros.training import pipeline, stages
from spec_vla_ros.training.frames import Frames, load_frames
from spec_vla_ros.training.pipeline import train_policy
from spec_vla_ros.training.small_model import TABLETOP
from spec_vla_ros.training.stages import Hyperparameters, scaled
from spec_vla_ros.types import Observation


@pytest.mark.slow
@pytest.mark.parametrize(
    'device', ['cpu', pytest.param('cuda', marks=[needs_gpu, pytest.mark.gpu])]
)
def test_from_seed_to_checkpoint(tmp_path, device):
    hyperparameters = scaled(replace(Hyperparameters(), files=2, episodes_per_file=3), 1.0)
    hyperparameters = replace(
        hyperparameters,
        vision=replace(hyperparameters.vision, iterations=1),
        language=replace(hyperparameters.language, iterations=1),
        grounding=replace(hyperparameters.grounding, iterations=1),
    )
    work, out = tmp_path / 'work', tmp_path / 'out'
    reports = []
    for _ in range(2):  # the second time everything is there already
        train_policy(
            hyperparameters,
            work=work,
            out=out,
            processes=2,
            device=torch.device(device),
            report=reports.append,
        )
    frames = load_frames(sorted(work.glob('expert_*.npz')))
    assert len(set(frames.episodes)) == 6
    assert not set(frames.episodes) & set(HELD_OUT_SEEDS)
    assert [text for text in reports if 'files' in text] == [
        'frames: 1 of 2 files',
        'frames: 2 of 2 files',
    ]
    assert sum('1/1' in text for text in reports) == 3  # one a stage, none repeated
    policy = load_policy(out, device='cpu')
    action = policy.infer(Observation(frames.images[0], 'pick up the green block'))
    assert action.values.shape == (7,)
    assert np.abs(action.values[:3]).max() <= 0.018 + 1e-6


def test_a_policy_stays_whole_until_another_is_ready(tmp_path, monkeypatch):
    work, out = tmp_path / 'work', tmp_path / 'out'
    out.mkdir()
    (out / 'config.json').write_text('of the policy before')

    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, 'train_vision', interrupted)
    rng = np.random.default_rng(0)
    frames = Frames(
        images=rng.integers(0, 256, (4, 64, 64, 3), dtype=np.uint8),
        instructions=np.zeros((4, 1), np.int64),
        actions=rng.random((4, 1, 7), np.float32),
        end_effector=rng.random((4, 10), np.float32),
        things=rng.random((4, 1, 3), np.float32),
        episodes=np.arange(4),
    )
    with pytest.raises(KeyboardInterrupt):
        stages.train_on_frames(
            Hyperparameters(),
            TABLETOP,
            frames,
            full_speed=np.ones(6),
            work=work,
            out=out,
            device=torch.device('cpu'),
            report=print,
        )
    assert [path.name for path in out.iterdir()] == ['config.json']
    assert (out / 'config.json').read_text() == 'of the policy before'


@pytest.mark.parametrize('scale', ['nan', 'inf', '0'])
def test_a_share_that_is_none_is_told(tmp_path, capsys, scale):
    places = ['--work', str(tmp_path / 'work'), '--out', str(tmp_path / 'out')]
    with pytest.raises(SystemExit):
        cli.main(['train-policy', *places, '--scale', scale])
    assert f'--scale: {scale}: give a number, above 0' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (['--seed', '1', '--scale', '1e-6'], 'seed was 0, is 1'),
        (['--scale', '2e-6'], ''),
        (['--scale', '0.1'], 'files was 1, is 3'),
        pytest.param(
            ['--suite', 'libero_object', '--scale', '1e-6'],
            'suite was None, is libero_object',
            marks=[
                pytest.mark.libero,
                pytest.mark.skipif(find_spec('libero') is None, reason='no LIBERO: make libero'),
            ],
        ),
    ],
)
def test_the_files_of_another_recipe_are_not_gone_on_with(
    tmp_path, monkeypatch, capsys, options, said
):
    began = []
    monkeypatch.setattr(pipeline, '_collect', lambda *args, **kinds: began.append(args))
    monkeypatch.setattr(pipeline, 'train_on_frames', lambda *args, **kinds: None)
    command = ['train-policy', '--work', str(tmp_path), '--out', str(tmp_path / 'out')]
    assert cli.main([*command, '--scale', '1e-6']) == 0
    (tmp_path / 'vision.pt').touch()
    assert cli.main([*command, *options]) == (2 if said else 0)
    assert said in capsys.readouterr().err
    assert len(began) == (1 if said else 2)


@pytest.mark.parametrize(
    ('files', 'words'),
    [
        ({'config.json': '{"norm_stats": {"tabletop": {}}}', 'model.safetensors': ''}, ''),
        ({'config.json': '{"norm_stats": {"bridge_orig": {}}}'}, 'holds another model than one'),
        ({'model-00001-of-00003.safetensors': ''}, 'holds another model than one'),
    ],
)
def test_another_model_is_not_overwritten(tmp_path, monkeypatch, capsys, files, words):
    began, out = [], tmp_path / 'out'
    monkeypatch.setattr(pipeline, '_collect', lambda *args, **kinds: began.append(args))
    monkeypatch.setattr(pipeline, 'train_on_frames', lambda *args, **kinds: None)
    out.mkdir()
    for name, text in files.items():
        (out / name).write_text(text)
    command = ['train-policy', '--work', str(tmp_path / 'work'), '--out', str(out)]
    assert cli.main([*command, '--scale', '1e-6']) == (2 if words else 0)
    assert words in capsys.readouterr().err
    assert len(began) == (0 if words else 1)


def test_where_nothing_can_be_written_nothing_is_begun(tmp_path, monkeypatch, capsys):
    (tmp_path / 'file').touch()
    command = ['train-policy', '--work', str(tmp_path / 'work'), '--out', str(tmp_path / 'file')]
    monkeypatch.setattr(pipeline, '_collect', None)
    assert cli.main(command) == 2
    assert 'nothing can be written into the folder' in capsys.readouterr().err


def test_scaling_keeps_at_least_one_of_everything():
    small = scaled(Hyperparameters(), 1e-6)
    assert (small.files, small.vision.iterations, small.language.iterations) == (1, 1, 1)
    with pytest.raises(ValueError, match='above 0'):
        scaled(Hyperparameters(), 0.0)
