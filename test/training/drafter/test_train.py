# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A drafter learns from the target's features on prompts, and only where drafts are made."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from spec_vla_ros.models.checkpoint import load_openvla, save_weights
from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.drafter_files import load_drafter, save_drafter
from spec_vla_ros.models.files.safetensors_files import save_tensors
from spec_vla_ros.models.openvla import OpenVLA, OpenVLAConfig
from spec_vla_ros.planning.rates import RateTable
from spec_vla_ros.policy import SpecVlaPolicy
from spec_vla_ros.sim.scene import COLOURS, instruction_for
from spec_vla_ros.training.drafter.data import (
    Example,
    TargetFeatures,
    read_features,
    target_features,
    write_features,
)
from spec_vla_ros.training.drafter.loss import draft_scores, drafter_loss
from spec_vla_ros.training.drafter.train import DrafterHyperparameters, _split, train_drafter
from spec_vla_ros.training.drafter.validation import fit_rates, fit_temperature, validate_drafter
from spec_vla_ros.training.loop import LoopSettings
from spec_vla_ros.training.small_model import TABLETOP, norm_stats, write_small_files
from spec_vla_ros.types import Observation

pytestmark = pytest.mark.slow

DIMENSIONS = 7


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """The small policy's shape with random weights: what it does is arbitrary but fixed."""
    folder = tmp_path_factory.mktemp('random')
    actions = np.random.default_rng(0).uniform(-0.02, 0.02, (100, DIMENSIONS))
    stats = norm_stats(actions, name=TABLETOP.name, trajectories=1)
    write_small_files(folder, TABLETOP, stats)
    config = OpenVLAConfig.from_dict(json.loads((folder / 'config.json').read_text()))
    torch.manual_seed(3)
    save_weights(OpenVLA(config), folder / 'model.safetensors', dtype=torch.float32)
    return load_openvla(folder, device='cpu', dtype='float32')


@pytest.fixture(scope='module')
def features(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp('features')
    rng, policy = np.random.default_rng(0), SpecVlaPolicy(checkpoint)
    examples = []
    for i in range(60):
        image = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        seen = Observation(image, instruction_for(COLOURS[i % 5]))
        tokens = policy.infer(seen, refuse_words=False).tokens
        examples.append(Example(image, seen.instruction, i // 2, tokens))
    write_features(checkpoint, examples, folder, report=lambda text: None)
    return read_features(folder)


def make_drafter(checkpoint, *, window=None):
    torch.manual_seed(0)
    return Drafter(checkpoint.config.text, window=window)


def test_features_are_those_of_the_chosen_tokens(checkpoint, features):
    language_model = checkpoint.model.language_model
    last = features.lengths - 1
    for step in range(DIMENSIONS):
        hidden = features.hidden[torch.arange(len(features)), last + step].float()
        chosen = language_model.logits(hidden).argmax(-1)
        assert (chosen == features.tokens[:, step]).float().mean() > 0.95  # float16 storage


def test_an_action_is_never_in_the_prompt(checkpoint):
    image, tokens = np.zeros((64, 64, 3), np.uint8), np.full(DIMENSIONS, 300)
    row = target_features(checkpoint, Example(image, instruction_for('red'), 0, tokens))
    patches = checkpoint.model.vision_backbone.num_patches
    words = checkpoint.prompt_processor(instruction_for('red')).shape[1]
    assert int(row['lengths']) == patches + words
    assert row['embeds'].shape[0] == patches + words + DIMENSIONS - 1


def test_only_drafted_positions_are_supervised(checkpoint, features):
    target = checkpoint.model.language_model
    drafter = make_drafter(checkpoint)
    batch = features.select(torch.arange(4))
    loss = drafter_loss(drafter, target, batch, rollout=1, score_weight=0.1)
    hidden = batch.hidden.clone()
    hidden[:, -DIMENSIONS + 1 :] += 1.0  # the last features are targets, and inputs of later ones
    moved = type(batch)(batch.embeds, hidden, batch.lengths, batch.tokens, batch.episodes)
    assert not torch.isclose(
        loss, drafter_loss(drafter, target, moved, rollout=1, score_weight=0.1)
    )
    loss.backward()
    assert all(p.grad is not None for p in drafter.parameters())
    assert all(p.grad is None for p in target.parameters())


def test_training_improves_and_resumes(checkpoint, features, tmp_path):
    target = checkpoint.model.language_model
    drafter = make_drafter(checkpoint)
    before = drafter_loss(drafter, target, features, rollout=1, score_weight=0.1).item()
    hyperparameters = DrafterHyperparameters(
        settings=LoopSettings(
            iterations=40, learning_rate=2e-3, weight_decay=0.0, ema_decay=0.5, save_every=20
        ),
        batch=16,
        rollout=2,
    )
    reports = []
    for _ in range(2):
        found = train_drafter(
            drafter,
            target,
            features,
            hyperparameters=hyperparameters,
            checkpoint=tmp_path / 'state.pt',
            report=reports.append,
        )
    after = drafter_loss(drafter, target, features, rollout=1, score_weight=0.1).item()
    assert after < 0.9 * before
    assert len(reports) == 2
    assert len(found.exact) == DIMENSIONS - 1
    assert found.temperature > 0


def test_a_batch_must_be_split_evenly(checkpoint, features, tmp_path):
    with pytest.raises(ValueError, match='a batch of 64 cannot be split over 3 processes'):
        train_drafter(
            make_drafter(checkpoint),
            checkpoint.model.language_model,
            features,
            hyperparameters=DrafterHyperparameters(),
            checkpoint=tmp_path / 'state.pt',
            report=print,
            accelerator=SimpleNamespace(process_index=0, num_processes=3),
        )


def test_one_episode_is_too_few(checkpoint, features, tmp_path):
    with pytest.raises(ValueError, match='of one episode only'):
        train_drafter(
            make_drafter(checkpoint),
            checkpoint.model.language_model,
            features.select(torch.arange(2)),
            hyperparameters=DrafterHyperparameters(),
            checkpoint=tmp_path / 'state.pt',
            report=print,
        )


def test_validation_does_not_depend_on_its_batch(checkpoint, features):
    target, drafter = checkpoint.model.language_model, make_drafter(checkpoint)
    whole, parts = (
        validate_drafter(drafter, target, features, batch=size, action_ids=None)
        for size in (60, 7)
    )
    assert whole.loss == pytest.approx(parts.loss, rel=1e-4)
    assert whole.exact == pytest.approx(parts.exact, abs=0.02)
    assert whole.accept_lengths == parts.accept_lengths
    assert 'accept length: chain' in str(whole)


def test_scores_are_of_all_tokens_but_the_first(checkpoint, features):
    target, drafter = checkpoint.model.language_model, make_drafter(checkpoint)
    scores = draft_scores(drafter, target, features)
    assert scores.shape == (len(features), DIMENSIONS - 1, target.config.vocab_size)


@pytest.mark.parametrize('window', [1, 5])
def test_what_stands_before_the_window_does_not_count(checkpoint, features, window):
    """Prompts of several lengths: the window is cut from the end of each."""
    target, drafter = checkpoint.model.language_model, make_drafter(checkpoint, window=window)
    lengths = features.lengths.clone()
    lengths[::2] -= 1  # a prompt one shorter, its action one earlier
    ragged = replace(features, lengths=lengths)
    scores = draft_scores(drafter, target, ragged)
    loss = drafter_loss(drafter, target, ragged, rollout=2, score_weight=0.1)
    for change, counts in ((-window - 1, False), (-window, True)):
        hidden = features.hidden.clone()
        hidden[torch.arange(len(features)), lengths + change] += 1.0
        changed = replace(ragged, hidden=hidden)
        assert torch.equal(draft_scores(drafter, target, changed), scores) != counts
        again = drafter_loss(drafter, target, changed, rollout=2, score_weight=0.1)
        assert torch.equal(again, loss) != counts


def test_a_window_wider_than_the_prompt_takes_all(checkpoint, features):
    target = checkpoint.model.language_model
    everything, wide = (
        draft_scores(make_drafter(checkpoint, window=w), target, features) for w in (None, 500)
    )
    torch.testing.assert_close(wide, everything)


@pytest.mark.parametrize('temperature', [0.2, 1.0, 3.0])
def test_the_temperature_makes_scores_probabilities(temperature):
    generator = torch.Generator().manual_seed(0)
    scores = 2 * torch.randn(2000, 2, 12, generator=generator)
    wanted = torch.multinomial(
        scores.flatten(0, 1).softmax(-1), 1, replacement=True, generator=generator
    ).view(2000, 2)
    found = fit_temperature(temperature * scores, wanted)
    assert found == pytest.approx(temperature, rel=0.15)


def test_acceptance_rates_are_counted():
    """By hand: 3 ids, 2 places; the best sibling is right, or near, or neither."""
    ids = range(10, 20)
    scores = torch.full((2, 2, 24), -9.0)
    best = torch.tensor([[12, 15], [12, 15]])
    scores.scatter_(2, best[..., None], 5.0)
    scores.scatter_(2, best[..., None] + 3, 4.0)  # the second best, three bins off
    chosen = torch.tensor([[12, 19], [14, 18]])
    deeper = scores.clone()
    deeper[1] = deeper[1].flip(-1)  # now the best are 23 - 12 and 23 - 15
    found = fit_rates([scores, deeper], chosen, action_ids=ids, temperature=1.0)
    at = {r: found.rates[found.thresholds.index(r)] for r in (0, 1, 3, 5)}
    assert at[0][0].tolist() == [0.5, 0.0]
    assert at[0][1].tolist() == [0.5, 0.5]  # 18 is the second best
    assert at[1][0].tolist() == [0.5, 0.0]
    assert at[1][1].tolist() == [1.0, 1.0]  # 15 is next to 14, 18 next to 19
    assert at[3][0].tolist() == [1.0, 0.5]
    assert at[5][0].tolist() == [1.0, 1.0]
    assert found.levels[0] == 1.0
    assert 0 < found.levels[1] < 1


def test_deeper_levels_read_the_drafters_own_predictions(checkpoint, features):
    target, drafter = checkpoint.model.language_model, make_drafter(checkpoint)
    first, second = (draft_scores(drafter, target, features, level=n) for n in (1, 2))
    torch.testing.assert_close(first[:, 0], second[:, 0])  # the first token has none before it
    assert not torch.allclose(first[:, 1:], second[:, 1:])


def test_what_the_drafter_does_not_read_is_left_in_the_files(features, tmp_path, checkpoint):
    """What it learns and how good it is come out the same."""
    columns = {name: getattr(features, name) for name in features.__slots__}
    save_tensors(columns, tmp_path / 'features_00000.safetensors')
    settings, found, longest = LoopSettings(3, 1e-3, 0.0), [], []
    for window in (None, 8):
        read, drafter = read_features(tmp_path, window=window), make_drafter(checkpoint, window=8)
        longest.append(read.embeds.shape[1])
        found.append(
            train_drafter(
                drafter,
                checkpoint.model.language_model,
                read,
                hyperparameters=DrafterHyperparameters(settings=settings, batch=8),
                checkpoint=tmp_path / f'{window}.pt',
                report=print,
            )
        )
    assert repr(found[0]) == repr(found[1])
    assert longest[1] == 8 + DIMENSIONS - 1 < longest[0]


def test_every_folder_has_a_part_in_the_validation():
    """The first examples alone would be those of the first folder."""
    episodes = torch.arange(4000).repeat_interleave(4)
    empty = torch.zeros(len(episodes), 1, 1)
    features = TargetFeatures(empty, empty, episodes, episodes[:, None], episodes)
    training, validation = _split(features, share=0.5)
    assert len(validation) == 512
    assert int(validation.episodes.max()) > 3900
    assert not set(validation.episodes.tolist()) & set(episodes[training].tolist())


def test_missing_features_are_named(tmp_path):
    with pytest.raises(ValueError, match='drafter-data'):
        read_features(tmp_path)


def test_a_saved_drafter_is_loaded_as_it_was(checkpoint, tmp_path):
    drafter = make_drafter(checkpoint)
    rates = RateTable.neutral(DIMENSIONS)
    save_drafter(drafter, tmp_path, temperature=0.25, rates=rates)
    loaded = load_drafter(tmp_path, checkpoint.model.language_model, num_patches=16)
    assert loaded.position_mode == drafter.position_mode
    assert loaded.temperature == 0.25
    np.testing.assert_allclose(loaded.rates.rates, rates.rates, atol=1e-4)
    for name, parameter in drafter.named_parameters():
        assert torch.equal(parameter, loaded.get_parameter(name))
