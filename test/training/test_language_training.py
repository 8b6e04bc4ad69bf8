# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Both training stages learn, and what they train is what inference runs."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from spec_vla_ros.models.image_processor import ImageProcessor
from spec_vla_ros.models.openvla import OpenVLA, OpenVLAConfig, multimodal_embeds
from spec_vla_ros.models.prompts import PromptProcessor
from spec_vla_ros.sim.env import TabletopEnv
from spec_vla_ros.sim.expert import MAX_MOTION
from spec_vla_ros.training.collect import collect_episodes
from spec_vla_ros.training.frames import load_frames
from spec_vla_ros.training.language_training import CachedFrames, train_language
from spec_vla_ros.training.loop import LoopSettings
from spec_vla_ros.training.packed_policy import PackedPolicy, deepen, initialise
from spec_vla_ros.training.small_model import (
    TABLETOP,
    norm_stats,
    small_preprocessor_config,
    write_small_files,
)
from spec_vla_ros.training.vision_pretraining import to_pixels, train_vision


@pytest.fixture(scope='module')
def frames():
    env = TabletopEnv()
    frames = collect_episodes(env, range(4))
    env.close()
    return frames


def with_layers(config, layers):
    return replace(config, text=replace(config.text, num_hidden_layers=layers))


@pytest.fixture
def policy(frames, tmp_path):
    stats = norm_stats(frames.actions.reshape(-1, 7), name='tabletop', trajectories=4)
    write_small_files(tmp_path, TABLETOP, stats)
    config = OpenVLAConfig.from_dict(json.loads((tmp_path / 'config.json').read_text()))
    config = with_layers(config, 2)
    torch.manual_seed(0)
    model = OpenVLA(config)
    prompts = PromptProcessor.from_file(tmp_path / 'tokenizer.json', vocab_size=config.vocab_size)
    goal_head = torch.nn.Linear(config.text.hidden_size, 11)
    said = TABLETOP.instructions
    policy = PackedPolicy(model, prompts, config.codec(), instructions=said, goal_head=goal_head)
    initialise(model.language_model, policy.actions, seed=0)
    return model, prompts, config.codec(), policy


def test_frames_are_labelled_for_every_block(frames):
    assert frames.images.shape[1:] == (64, 64, 3)
    assert frames.actions.shape[1:] == (3, 7)
    assert set(frames.episodes) == set(range(4))
    assert np.abs(frames.actions[..., :3]).max() <= 0.018 + 1e-6
    assert set(np.unique(frames.actions[..., 6])) == {0.0, 1.0}


def test_frames_survive_the_disk(frames, tmp_path):
    frames.save(tmp_path / 'a.npz')
    again = load_frames([tmp_path / 'a.npz', tmp_path / 'a.npz'])
    assert len(again) == 2 * len(frames)
    np.testing.assert_array_equal(again.images[len(frames) :], frames.images)


@torch.inference_mode()
def test_packed_training_forward_is_the_inference_forward(frames, policy):
    model, prompts, codec, packed = policy
    cached = CachedFrames.compute(model, frames, codec, full_speed=MAX_MOTION)
    features, instructions, tokens, _ = cached.batch(np.array([0]), device=torch.device('cpu'))
    trained, _ = packed(features, instructions, tokens)
    for segment in range(instructions.shape[1]):
        ids = prompts(TABLETOP.instructions[int(instructions[0, segment])])
        ids = torch.cat((ids, tokens[0, segment, :-1][None]), 1)
        patches = model.projector(features)
        embeds = multimodal_embeds(model.prompt_embeds(ids), patches)
        hidden = model.language_model(embeds, positions=torch.arange(embeds.shape[1]))
        alone = model.language_model.logits(hidden[:, -codec.stats.dimensions :])
        torch.testing.assert_close(trained[0, segment], alone[0], atol=1e-4, rtol=1e-4)


def under_one_instruction(frames):
    """Return the same frames as a suite has them whose scenes answer one instruction each."""
    return replace(
        frames,
        instructions=frames.instructions[:, :1],
        actions=frames.actions[:, :1],
        things=frames.things[:, :1],
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ('bfloat16', 'seen'), [(False, lambda frames: frames), (True, under_one_instruction)]
)
def test_both_stages_reduce_their_loss(frames, policy, tmp_path, bfloat16, seen):
    model, _, codec, packed = policy
    frames = seen(frames)
    reports = []
    settings = LoopSettings(
        iterations=8, learning_rate=3e-3, weight_decay=0.0, ema_decay=0.5, save_every=4
    )
    train_vision(
        model,
        frames,
        instructions=5,
        full_speed=MAX_MOTION,
        bfloat16=bfloat16,
        settings=settings,
        seed=0,
        checkpoint=tmp_path / 'v.pt',
        report=reports.append,
    )
    totals = [float(r.split('total ')[1].split()[0]) for r in reports]
    assert totals[-1] < totals[0]
    model.vision_backbone.requires_grad_(requires_grad=False)
    cached = CachedFrames.compute(model, frames, codec, full_speed=MAX_MOTION)
    reports.clear()
    train_language(
        packed,
        cached,
        goal_weight=1.0,
        swapped=0.5,
        settings=settings,
        seed=0,
        checkpoint=tmp_path / 'l.pt',
        report=reports.append,
    )
    losses = [float(r.split('validation ')[1].split()[0]) for r in reports]
    assert losses[-1] < losses[0]


@torch.inference_mode()
def test_a_deeper_model_begins_as_nearly_the_same(policy):
    model, *_ = policy
    embeds = torch.randn(1, 30, model.config.text.hidden_size)

    def run(model):
        return model.language_model(embeds, positions=torch.arange(30))

    scale = run(model).std()
    errors = []
    for layers in (2, 4, 16):
        deep = deepen(model, with_layers(model.config, layers))
        assert len(deep.language_model.model.layers) == layers
        assert deep.projector is model.projector
        errors.append(float((run(deep) - run(model)).std() / scale))
    assert errors[0] == 0
    assert errors[1] < errors[2] < 0.5
    layers = deep.language_model.model.layers
    assert len({layer.self_attn.q_proj.weight.data_ptr() for layer in layers}) == len(layers)


def test_a_depth_that_is_no_multiple_is_refused(policy):
    model, *_ = policy
    for layers in (3, 1):
        with pytest.raises(ValueError, match='must be a multiple'):
            deepen(model, with_layers(model.config, layers))


def test_pixels_are_those_of_the_image_processor(frames):
    processor = ImageProcessor.from_dict(small_preprocessor_config(TABLETOP))
    image = frames.images[0]
    pixels = to_pixels(image[None], device=torch.device('cpu'))
    torch.testing.assert_close(processor(image).reshape(1, 6, 64, 64), pixels, atol=1e-6, rtol=0)
