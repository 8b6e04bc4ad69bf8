# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Every intermediate result equals that of the published OpenVLA code, up to the action."""

import zlib
from functools import cache

import numpy as np
import pytest
import torch
from toy_checkpoint import ACTION_IDS, DATA, make_image, toy_checkpoint

from spec_vla_ros.action_codec import ActionCodec
from spec_vla_ros.decoding.generate import autoregressive_generate, prefill
from spec_vla_ros.models.openvla import multimodal_embeds

SAMPLES = [(variant, i) for variant in ('base', 'fast') for i in range(12)]


@cache
def golden():
    with np.load(DATA / 'public.npz') as file:
        return {key: file[key] for key in file.files}


class Sample:
    """One image and prompt, with what the published code makes of it."""

    def __init__(self, variant, index):
        self.variant, self.index = variant, index
        self.checkpoint = toy_checkpoint(variant)
        self.model = self.checkpoint.model
        self.image = make_image(int(self['seed']), int(self['candidate']))

    def __getitem__(self, key):
        values = golden()[f'{self.variant}/{key}']
        return values[self.index] if values.ndim else values

    def pixel_values(self):
        return self.checkpoint.image_processor(self.image)

    @torch.inference_mode()
    def prompt(self):
        ids = self['prompt_ids'][: self['prompt_len']]
        text = self.model.prompt_embeds(self.checkpoint.prompt_processor(ids))
        return multimodal_embeds(text, self.model.image_embeds(self.pixel_values()))


@pytest.fixture(params=SAMPLES, ids=lambda p: f'{p[0]}-{p[1]}')
def sample(request):
    return Sample(*request.param)


def test_the_images_are_the_golden_ones(sample):
    assert zlib.crc32(sample.image.tobytes()) == sample['image_crc32']


def test_pixel_values(sample):
    pixels = sample.pixel_values()[0].numpy()
    np.testing.assert_allclose(pixels[:, [0, 31, 63], ::4], sample['pixel_rows'], atol=1e-6)
    np.testing.assert_allclose(pixels.sum((1, 2), np.float64), sample['pixel_ch_sum'], atol=1e-2)
    full = golden()[f'{sample.variant}/pixel_full']
    if sample.index < len(full):
        np.testing.assert_allclose(pixels, full[sample.index], atol=1e-6)


def test_features_and_projection(sample):
    with torch.inference_mode():
        features = sample.model.image_features(sample.pixel_values())
        projected = sample.model.projector(features)[0].numpy()
    features = features[0].numpy()
    np.testing.assert_allclose(features[[0, 7, 15]][:, ::8], sample['feat_slice'], atol=1e-4)
    np.testing.assert_allclose(features.sum(dtype=np.float64), sample['feat_sum'], atol=1e-2)
    np.testing.assert_allclose(projected, sample['proj'], atol=1e-4)
    full = golden()[f'{sample.variant}/feat_full']
    if sample.index < len(full):
        np.testing.assert_allclose(features, full[sample.index], atol=1e-4)


def test_prefill(sample):
    language_model = sample.model.language_model
    prompt = sample.prompt()
    assert prompt.shape[1] == sample['prefill_len']
    with torch.inference_mode():
        hidden, cache = prefill(language_model, prompt)
        logits = language_model.logits(hidden[0, -1], ACTION_IDS).numpy()
    assert cache.length == prompt.shape[1]
    np.testing.assert_allclose(hidden[0, -1].numpy(), sample['prefill_last_hidden'], atol=1e-4)
    np.testing.assert_allclose(logits, sample['prefill_logits_action'], atol=1e-3)


def test_tokens_and_actions(sample):
    decoded = autoregressive_generate(sample.model.language_model, sample.prompt(), num_tokens=7)
    assert decoded.tokens.tolist() == sample['tokens'].tolist()
    assert len(decoded.commits) == 7
    for key in ('toy_suite', 'toy_other'):
        codec = sample.checkpoint.config.codec(key)
        normalised = codec.tokens_to_normalised(decoded.tokens)
        np.testing.assert_array_equal(normalised, sample['action_normalised'])
        np.testing.assert_array_equal(codec.decode(decoded.tokens), sample[f'action_{key}'])


def test_step_logits(sample):
    """One pass over prompt and tokens gives the logits of every decoding step."""
    language_model = sample.model.language_model
    with torch.inference_mode():
        emitted = language_model.embed(torch.from_numpy(sample['tokens'][None, :6]).long())
        embeds = torch.cat((sample.prompt(), emitted), 1)
        hidden = language_model(embeds, positions=torch.arange(embeds.shape[1]))
        logits = language_model.logits(hidden[0, -7:], ACTION_IDS)
    np.testing.assert_allclose(logits.numpy(), sample['step_logits_action'], atol=1e-3)


@pytest.mark.parametrize('key', ['toy_suite', 'toy_other'])
def test_edge_tokens_decode_as_published(key):
    """Ids outside the actions too: they are clipped to the nearest bin."""
    stats = toy_checkpoint('fast').config.codec(key).stats
    codec = ActionCodec(stats)
    tokens = golden()['detok/tokens'].reshape(-1, 7)
    normalised = golden()['detok/normalised'].reshape(-1, 7)
    expected = golden()[f'detok/{key}'].reshape(-1, 7)
    np.testing.assert_array_equal(codec.tokens_to_normalised(tokens), normalised)
    np.testing.assert_array_equal(codec.decode(tokens), expected)
