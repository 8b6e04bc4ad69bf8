# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Action after action: strict modes repeat autoregressive decoding, relaxed ones stay near it."""

import numpy as np
import pytest
import torch

from spec_vla_ros.action_codec import ActionCodec
from spec_vla_ros.action_decoder import ActionDecoder
from spec_vla_ros.decoding.draft_tree import TreeShape
from spec_vla_ros.decoding.kv_cache import KVCache
from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.llama import Llama
from spec_vla_ros.models.llama_config import LlamaConfig
from spec_vla_ros.norm_stats import NormStats
from spec_vla_ros.planning.costs import Costs
from spec_vla_ros.planning.plan import TreePlan
from spec_vla_ros.planning.rates import RateTable
from spec_vla_ros.types import Decoding

DIMENSIONS = 7
VOCABULARY = 300
SHAPES = [TreeShape(top_k=1, depth=6, nodes=6), TreeShape(top_k=4, depth=3, nodes=10)]
STATS = NormStats('test', -np.ones(DIMENSIONS), np.ones(DIMENSIONS), np.ones(DIMENSIONS, bool))
CODEC = ActionCodec(STATS, vocab_size=VOCABULARY)


def make_models(seed):
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY + 20,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=128,
    )
    target = Llama(config).eval().requires_grad_(requires_grad=False)
    with torch.no_grad():
        target.lm_head.weight[VOCABULARY:] = 0
        target.lm_head.weight[: VOCABULARY - 256] *= 0.1
    return target, Drafter(config).eval().requires_grad_(requires_grad=False)


def slow_prompts(count):
    """Prompts that change a little from one to the next, as camera images do."""
    first, drift = torch.randn(1, 12, 32), 0.02 * torch.randn(1, 12, 32)
    return [first + i * drift for i in range(count)]


def decode_all(decoder, prompts, decoding):
    return [
        decoder.decode(p, decoding, instruction='go', stamp_ns=i) for i, p in enumerate(prompts)
    ]


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('temporal', [True, False])
@pytest.mark.parametrize('mode', ['strict', 'relaxed'])
def test_exact_modes_equal_autoregressive(mode, temporal, shape):
    for seed in range(6):
        target, drafter = make_models(seed)
        prompts = slow_prompts(5)
        decoder = ActionDecoder(target, CODEC, drafter=drafter, tree=shape)
        expected = decode_all(ActionDecoder(target, CODEC), prompts, Decoding())
        found = decode_all(decoder, prompts, Decoding(mode, 0, temporal))
        for want, got in zip(expected, found, strict=True):
            assert torch.equal(want.tokens, got.tokens)
            assert torch.equal(got.tokens, got.choices)


@pytest.mark.parametrize('distance', [9, (3, 30, 0, 5, 5, 200, 0)])
def test_relaxed_tokens_are_near_the_targets_choice(distance):
    limits = torch.tensor(distance if isinstance(distance, tuple) else [distance] * 6 + [0])
    moved = 0
    for seed in range(6):
        target, drafter = make_models(seed)
        decoder = ActionDecoder(target, CODEC, drafter=drafter, tree=SHAPES[1])
        for prompt, got in zip(
            prompts := slow_prompts(5),
            decode_all(decoder, prompts, Decoding('relaxed', distance)),
            strict=True,
        ):
            assert len(got.tokens) == DIMENSIONS
            assert torch.all((got.tokens - got.choices).abs() <= limits)
            moved += int((got.tokens != got.choices).sum())
            embeds = torch.cat((prompt, target.embed(got.tokens[None, :-1])), 1)
            hidden = target(embeds, positions=torch.arange(embeds.shape[1]))
            own = target.logits(hidden[0, -DIMENSIONS:]).argmax(-1)
            assert torch.equal(own, got.choices)
    assert moved > 0


def tokens_and_choices(decoding, *, codec=CODEC, shape=SHAPES[1], seeds=range(6)):
    """What was decoded of slow prompts, (actions, D) twice."""
    decoded = []
    for seed in seeds:
        target, drafter = make_models(seed)
        decoder = ActionDecoder(target, codec, drafter=drafter, tree=shape)
        decoded += decode_all(decoder, slow_prompts(5), decoding)
    return torch.stack([d.tokens for d in decoded]), torch.stack([d.choices for d in decoded])


# A bin of x is 1 mm, of y 2 mm, of z nothing; of the rotations 10, 20 and 10 mrad; z and the third
# are used as they are.
RANGES = np.array([0.255, 0.51, 0.0, 2.55, 5.1, 2.55, 1.0])
MASK = np.array([1, 1, 1, 1, 1, 0, 0], bool)
ARM = ActionCodec(NormStats('arm', np.zeros(7), RANGES, MASK), vocab_size=VOCABULARY)


@pytest.mark.parametrize(
    ('threshold', 'translation', 'rotation', 'in_force'),
    [
        (9, None, None, (9, 9, 9, 9, 9, 9, 0)),
        (9, 0.030, None, (30, 15, 255, 9, 9, 9, 0)),
        (9, 0.0059, 0.1, (5, 2, 255, 10, 5, 0, 0)),
        (0, 0.005, None, (5, 2, 255, 0, 0, 0, 0)),
        (9, 0.0, 0.0, (0, 0, 255, 0, 0, 0, 0)),
        ((3, 30, 4, 30, 2, 30, 1), 0.030, 0.1, (3, 15, 4, 10, 2, 0, 1)),
    ],
)
def test_tolerances_become_bins(threshold, translation, rotation, in_force):
    decoding = Decoding(
        'relaxed',
        threshold,
        acceptance_tolerance_translation=translation,
        acceptance_tolerance_rotation=rotation,
    )
    target, drafter = make_models(0)
    decoder = ActionDecoder(target, ARM, drafter=drafter, tree=SHAPES[1])
    (decoded,) = decode_all(decoder, slow_prompts(1), decoding)
    assert decoded.stats.acceptance_thresholds == in_force
    tokens, choices = tokens_and_choices(decoding, codec=ARM)
    assert ((tokens - choices).abs() <= torch.tensor(in_force)).all()
    off = np.abs(ARM.decode(tokens) - ARM.decode(choices))
    if translation is not None:
        assert off[:, :3].max() <= translation + 1e-12
    if rotation is not None:
        assert off[:, 3:5].max() <= rotation + 1e-12
        assert (tokens[:, 5] == choices[:, 5]).all()


def test_only_relaxed_decoding_has_thresholds():
    for decoding in (Decoding(), Decoding('strict', 9)):
        target, drafter = make_models(0)
        decoder = ActionDecoder(target, ARM, drafter=drafter, tree=SHAPES[1])
        (decoded,) = decode_all(decoder, slow_prompts(1), decoding)
        assert decoded.stats.acceptance_thresholds == ()


@pytest.mark.parametrize(
    ('limits', 'reason'),
    [
        ({'acceptance_tolerance_translation': -0.001}, 'tolerance_translation -0.001: give'),
        ({'acceptance_tolerance_rotation': float('nan')}, 'tolerance_rotation nan: give'),
    ],
)
def test_impossible_limits_are_refused(limits, reason):
    with pytest.raises(ValueError, match=reason):
        Decoding('relaxed', 9, **limits)


def test_an_unchanged_prompt_costs_one_pass():
    target, drafter = make_models(0)
    decoder = ActionDecoder(target, CODEC, drafter=drafter)
    prompts = [slow_prompts(1)[0]] * 3
    passes = [d.stats.target_passes for d in decode_all(decoder, prompts, Decoding('strict'))]
    assert passes[0] > 1
    assert passes[1:] == [1, 1]


class DriftingTarget:
    """A target that chooses, in every dimension, the id written into the prompt's first value."""

    def __call__(self, embeds, *, positions, mask, cache, outputs=None):
        if cache.length == 0:
            self._choice = int(embeds[0, 0, 0])
        cache.advance(embeds.shape[1])
        return embeds if outputs is None else embeds[:, -outputs:]

    def embed(self, ids):
        return torch.zeros(*ids.shape, 4)

    def logits(self, hidden, ids=None):
        scores = torch.zeros(*hidden.shape[:-1], VOCABULARY)
        scores[..., self._choice] = 1.0
        return scores if ids is None else scores[..., ids]

    def new_cache(self, max_len):
        return KVCache(layers=1, kv_heads=1, head_dim=1, max_len=max_len)


class NoDrafter(DriftingTarget):
    """A drafter that hands on the features it is given."""

    window, counts_from_prompt, temperature = None, True, 1.0

    def __call__(self, embeds, features, *, positions, mask, cache, outputs=None):
        cache.advance(embeds.shape[1])
        return features if outputs is None else features[:, -outputs:]

    def tree_position(self, cached, *, first_round):
        return cached


def test_a_slow_drift_is_followed_not_frozen():
    """Offering the emitted action again would repeat it until the target is r bins away."""
    decoder = ActionDecoder(
        DriftingTarget(), CODEC, drafter=NoDrafter(), tree=TreeShape(top_k=1, depth=1, nodes=1)
    )
    wanted = [150 + i for i in range(20)]
    prompts = [torch.full((1, 3, 4), float(w)) for w in wanted]
    found = decode_all(decoder, prompts, Decoding('relaxed', 9))
    emitted = np.array([int(d.tokens[0]) for d in found])
    assert np.abs(emitted - wanted).max() <= 1
    assert len(set(emitted)) >= 19


def test_speculation_needs_a_drafter():
    target, _ = make_models(0)
    with pytest.raises(ValueError, match='needs a drafter'):
        decode_all(ActionDecoder(target, CODEC), slow_prompts(1), Decoding('strict'))
    with pytest.raises(ValueError, match='none of autoregressive'):
        Decoding('Relaxed')


def test_rates_of_another_action_are_refused():
    target, drafter = make_models(0)
    with pytest.raises(ValueError, match='actions of 8 tokens, these have 7'):
        ActionDecoder(target, CODEC, drafter=drafter, rates=RateTable.neutral(8))


@pytest.mark.parametrize('mode', ['strict', 'relaxed'])
def test_where_no_draft_pays_the_target_decodes_alone(mode):
    target, drafter = make_models(0)
    nothing = TreePlan((None,) * DIMENSIONS, (1.0,) * DIMENSIONS, guesses=8)
    decoder = ActionDecoder(target, CODEC, drafter=drafter, tree=nothing)
    prompt = slow_prompts(1)[0]
    expected = decode_all(ActionDecoder(target, CODEC), [prompt], Decoding())[0]
    alone = decode_all(decoder, [prompt], Decoding(mode, 9, temporal=False))[0]
    assert torch.equal(alone.tokens, expected.tokens)
    assert alone.stats.draft_passes == 0
    repeated = decode_all(decoder, [prompt] * 2, Decoding(mode, 9, temporal=True))
    assert repeated[1].stats.target_passes == 1  # temporal drafts are offered all the same


def test_the_tree_is_measured_unless_it_is_given():
    target, drafter = make_models(0)
    prompts = slow_prompts(3)
    fixed = ActionDecoder(target, CODEC, drafter=drafter, tree=SHAPES[0])
    fixed.measure(prompts[0])
    ways = (Decoding('strict'), Decoding('relaxed', 9))
    assert all(fixed.tree(way) is SHAPES[0] for way in ways)
    measured = ActionDecoder(target, CODEC, drafter=drafter)
    assert all(measured.tree(way) == TreeShape() for way in ways)  # nothing is measured yet
    measured.measure(prompts[0])
    for way in ways:
        assert len(measured.tree(way).shapes) == DIMENSIONS
    expected = decode_all(ActionDecoder(target, CODEC), prompts, Decoding())
    found = decode_all(measured, prompts, Decoding('strict'))
    for want, got in zip(expected, found, strict=True):
        assert torch.equal(want.tokens, got.tokens)


def test_guesses_are_taken_up_again_where_nothing_is_drafted():
    """While drafting is off the target decodes alone; whether guesses would hold is counted."""
    target, drafter = make_models(0)
    decoder = ActionDecoder(target, CODEC, drafter=drafter)
    decoder._planner.use_costs(Costs({1: 10.0, 50: 500.0}, {1: (99.0, 99.0)}, guess=(20.0, 0.5)))
    same = torch.randn(1, 12, 32).expand(300, 1, 12, 32)
    found = decode_all(decoder, same, Decoding('strict', 0, temporal=True))
    assert found[0].stats.drafting_off
    assert found[-1].stats.target_passes == 1
