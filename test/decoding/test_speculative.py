# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What speculative decoding promises, for any target, drafter and prompt."""

import pytest
import torch
from small_models import (
    ACTION_IDS,
    TargetAsDrafter,
    merged,
    random_drafter,
    random_prompt,
    random_target,
    speculate,
)

from spec_vla_ros.decoding.acceptance import exact_match
from spec_vla_ros.decoding.draft_tree import DraftTree, TreeShape
from spec_vla_ros.decoding.drafting import TreeDrafter
from spec_vla_ros.decoding.generate import autoregressive_generate, call_step
from spec_vla_ros.device import PhaseTimer
from spec_vla_ros.planning.plan import TreePlan
from spec_vla_ros.types import thresholds_by_dimension

ROOT = torch.zeros(1, dtype=torch.int64)
SHAPES = [TreeShape(), TreeShape(1, 5, 5), TreeShape(4, 2, 6), TreeShape(2, 7, 3)]


def drafters(seed, target, prompt):
    """A useless, a good and a middling drafter."""
    yield random_drafter(seed)
    yield TargetAsDrafter(target, prompt)
    yield TargetAsDrafter(target, prompt, noise=0.3)


def choices_given(target, prompt, tokens):
    """The target's choice at each position, given the emitted tokens before it."""
    with torch.inference_mode():
        embeds = torch.cat((prompt, target.embed(tokens[None, :-1])), 1)
        hidden = target(embeds, positions=torch.arange(embeds.shape[1]))
        return target.logits(hidden[0, -len(tokens) :]).argmax(-1)


@pytest.mark.parametrize('shape', SHAPES, ids=str)
@pytest.mark.parametrize('seed', range(12))
def test_strict_equals_autoregressive(seed, shape):
    target = random_target(seed)
    for prompt_seed in range(3):
        prompt = random_prompt(prompt_seed + 10 * seed)
        expected = autoregressive_generate(target, prompt, num_tokens=7).tokens
        for drafter in drafters(seed, target, prompt):
            decoded = speculate(target, drafter, prompt, tree=shape)
            assert torch.equal(decoded.tokens, expected)
            assert torch.equal(decoded.choices, expected)


@pytest.mark.parametrize('distance', [1, 9, 30, 255, (0, 3, 0, 40, 9, 9, 2)])
@pytest.mark.parametrize('seed', range(8))
def test_relaxed_stays_near_the_targets_choices(seed, distance):
    target, prompt = random_target(seed), random_prompt(seed)
    limits = torch.tensor(thresholds_by_dimension(distance, 7))
    for drafter in drafters(seed, target, prompt):
        decoded = speculate(target, drafter, prompt, distance)
        choices = choices_given(target, prompt, decoded.tokens)
        assert torch.equal(decoded.choices, choices)
        off = (decoded.tokens - choices).abs()
        assert (off <= limits).all()
        outside = (decoded.tokens < ACTION_IDS.start) | (decoded.tokens >= ACTION_IDS.stop)
        outside |= (choices < ACTION_IDS.start) | (choices >= ACTION_IDS.stop)
        assert (off[outside] == 0).all()


@pytest.mark.parametrize('seed', range(4))
def test_relaxing_does_relax(seed):
    """Otherwise the test above would pass with nothing accepted."""
    target, prompt = random_target(seed), random_prompt(seed)
    rounds = {}
    for distance in (0, 60):
        drafter = TargetAsDrafter(target, prompt, noise=1.0)
        decoded = speculate(target, drafter, prompt, distance)
        rounds[distance] = len(decoded.accept_lengths)
    assert rounds[60] < rounds[0]


@pytest.mark.parametrize(
    ('depth', 'lengths'), [(1, (2, 2, 2)), (2, (3, 3)), (3, (4, 2)), (5, (6,)), (9, (6,))]
)
@pytest.mark.parametrize('top_k', [1, 4])
def test_the_target_accepts_all_of_its_own_drafts(depth, lengths, top_k):
    for seed in range(4):
        target, prompt = random_target(seed), random_prompt(seed)
        target.lm_head.weight *= 10  # sure of its choices, so that no tree leaves them out
        shape = TreeShape(top_k, depth, top_k * depth * top_k)
        decoded = speculate(target, TargetAsDrafter(target, prompt), prompt, tree=shape, ids=None)
        assert decoded.accept_lengths == lengths
        assert len(decoded.commits) == 1 + len(lengths)


@pytest.mark.parametrize('dimensions', [1, 2, 3, 7, 12])
@pytest.mark.parametrize('distance', [0, 9])
def test_stops_exactly_at_the_action_length(dimensions, distance):
    target, prompt = random_target(3), random_prompt(3)
    for drafter in drafters(3, target, prompt):
        decoded = speculate(target, drafter, prompt, distance, dimensions=dimensions)
        assert decoded.tokens.shape == decoded.choices.shape == (dimensions,)
        assert sum(decoded.accept_lengths) == dimensions - 1
        if distance == 0:
            expected = autoregressive_generate(target, prompt, num_tokens=dimensions).tokens
            assert torch.equal(decoded.tokens, expected)


def test_the_last_dimension_is_exact_by_default():
    for seed in range(8):
        target, prompt = random_target(seed), random_prompt(seed)
        drafter = TargetAsDrafter(target, prompt, noise=1.0)
        decoded = speculate(target, drafter, prompt, 60)
        assert decoded.tokens[-1] == decoded.choices[-1]


@pytest.mark.parametrize('seed', range(6))
def test_caches_may_be_used_again(seed):
    target, prompt = random_target(seed), random_prompt(seed)
    drafter = random_drafter(seed)
    used = TreeDrafter(drafter, target, ids=ACTION_IDS)
    cache = target.new_cache(120)
    fresh = speculate(target, drafter, prompt, 9)
    speculate(target, used, random_prompt(99, length=14), 30, cache=cache)
    again = speculate(target, used, prompt, 9, cache=cache)
    assert torch.equal(again.tokens, fresh.tokens)


class Spy:
    """A drafter that notes how many places it is given at a time."""

    def __init__(self, drafter):
        self._drafter, self.given = drafter, []
        self.window, self.new_cache = drafter.window, drafter.new_cache
        self.tree_position = drafter.tree_position
        self.counts_from_prompt = drafter.counts_from_prompt
        self.temperature = drafter.temperature

    def __call__(self, embeds, features, **options):
        assert embeds.shape == features.shape
        self.given.append((embeds[0, 0], features[0, 0], embeds.shape[1]))
        return self._drafter(embeds, features, **options)


@pytest.mark.parametrize('guessed', [False, True])
@pytest.mark.parametrize('window', [1, 4, 9, 40, None])
def test_a_drafter_reads_the_last_places_of_the_prompt(window, guessed):
    for seed in range(4):
        target, prompt = random_target(seed), random_prompt(seed)
        expected = autoregressive_generate(target, prompt, num_tokens=7).tokens
        draft = as_tree(expected[None].roll(seed, 1)) if guessed else None
        spy = Spy(random_drafter(seed, window=window))
        decoded = speculate(target, spy, prompt, draft=draft)
        assert torch.equal(decoded.tokens, expected)
        if not spy.given:  # all guessed
            continue
        embed, feature, count = spy.given[0]
        read = min(window or 9, 9)
        assert count == read + decoded.accept_lengths[0] - 1 if guessed else count == read
        with torch.inference_mode():
            whole = target(prompt, positions=torch.arange(9))
        behind = prompt[0, 10 - read] if read > 1 else target.embed(expected[:1])[0]
        torch.testing.assert_close(embed, behind)
        torch.testing.assert_close(feature, whole[0, 9 - read], atol=1e-5, rtol=0)


def as_tree(guesses):
    """The draft of whole actions: all but their last token, which is always the bonus."""
    return merged(guesses[:, :-1])


@pytest.mark.parametrize('seed', range(8))
def test_guesses_verified_inside_the_prefill(seed):
    target, prompt = random_target(seed), random_prompt(seed)
    expected = autoregressive_generate(target, prompt, num_tokens=7).tokens
    wrong = torch.randint(64, 320, (3, 7), generator=torch.Generator().manual_seed(seed))
    half = torch.cat((expected[:3], wrong[0, 3:]))
    drafter = random_drafter(seed)
    for guesses, passes in ((expected[None], 1), (torch.stack((wrong[1], expected)), 1)):
        decoded = speculate(target, drafter, prompt, draft=as_tree(guesses))
        assert torch.equal(decoded.tokens, expected)
        assert len(decoded.commits) == passes
        assert decoded.accept_lengths == (7,)
    for guesses in (wrong, torch.stack((wrong[1], half))):
        decoded = speculate(target, drafter, prompt, draft=as_tree(guesses))
        assert torch.equal(decoded.tokens, expected)


def test_a_prefill_without_guesses_is_no_verify_round():
    target, prompt = random_target(0), random_prompt(0)
    decoded = speculate(target, random_drafter(0), prompt)
    assert sum(decoded.accept_lengths) == 6


def test_a_guess_at_the_last_token_is_refused():
    target, prompt = random_target(0), random_prompt(0)
    deep = merged(torch.full((1, 7), 100))
    with pytest.raises(ValueError, match='at most 6 can be drafted'):
        speculate(target, random_drafter(0), prompt, draft=deep)


def test_a_tree_too_deep_for_the_tokens_left_is_refused():
    target, prompt = random_target(0), random_prompt(0)
    with pytest.raises(ValueError, match='is 6 tokens deep, at most 5 can be drafted'):
        speculate(target, random_drafter(0), prompt, tree=lambda left: TreeShape(1, 6, 6))


def test_stats_account_for_the_time():
    target, prompt = random_target(1), random_prompt(1)
    timer = PhaseTimer(prompt.device)
    decoded = speculate(target, random_drafter(1), prompt, run=timer.timed(call_step))
    stats = decoded.stats('strict', phases_ms=timer.milliseconds())
    assert stats.mode == 'strict'
    assert stats.draft_passes >= len(stats.accept_lengths) - 1
    assert stats.phases_ms.keys() == {'prefill', 'draft', 'verify'}
    assert min(stats.phases_ms.values()) > 0


def test_without_a_tree_that_pays_passes_are_plain():
    """And the prefill computes no hidden states for a drafter that is never asked."""
    plan = TreePlan((None,) * 7, (1.0,) * 7)
    for seed in range(4):
        target, prompt = random_target(seed), random_prompt(seed)
        expected = autoregressive_generate(target, prompt, num_tokens=7).tokens
        draft = DraftTree.chain(torch.cat((ROOT, expected[:2])))
        decoded = speculate(target, random_drafter(seed), prompt, tree=plan, draft=draft)
        assert torch.equal(decoded.tokens, expected)
        assert (len(decoded.commits), decoded.draft_passes) == (5, 0)


class Witness(TreeDrafter):
    """A drafter that keeps what it could read whenever it was asked to propose."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.readable = []

    def observe(self, embeds, features, decided, *, end):
        super().observe(embeds, features, decided, end=end)
        self.readable.append((end, self._embeds.clone(), self._features.clone()))


@pytest.mark.parametrize('tree', SHAPES, ids=str)
@pytest.mark.parametrize('guessed', [False, True])
def test_the_drafter_reads_the_targets_features_of_what_was_decided(tree, guessed):
    """At each place the hidden state there, and the embedding of the token that follows."""
    for seed in range(6):
        target, prompt = random_target(seed), random_prompt(seed)
        drafter = Witness(TargetAsDrafter(target, prompt, noise=0.3), target, ids=ACTION_IDS)
        expected = autoregressive_generate(target, prompt, num_tokens=7).tokens
        draft = as_tree(torch.stack((expected.roll(1), expected[[0, 1, 2, 0, 0, 0, 0]])))
        decoded = speculate(
            target, drafter, prompt, 9, tree=tree, draft=draft if guessed else None
        )
        with torch.inference_mode():
            embeds = torch.cat((prompt, target.embed(decoded.tokens[None])), 1)
            hidden = target(embeds, positions=torch.arange(embeds.shape[1]))
        decided = 0
        assert len(drafter.readable) == len(decoded.commits)
        for (end, read, features), committed in zip(
            drafter.readable, decoded.commits, strict=True
        ):
            decided += committed
            assert end == prompt.shape[1] + decided - committed
            known = prompt.shape[1] + decided - 1
            torch.testing.assert_close(features[:, :known], hidden[:, :known], atol=1e-5, rtol=0)
            torch.testing.assert_close(read[:, :known], embeds[:, 1 : known + 1])


def test_a_stop_rule_may_wait_for_a_token():
    """As for models that reason before they act."""
    for seed in range(6):
        target, prompt = random_target(seed), random_prompt(seed)
        long = autoregressive_generate(target, prompt, num_tokens=24).tokens.tolist()
        end = long[10]

        def stop(tokens, end=end):
            return 0 if end in tokens else 24 - len(tokens)

        decoded = speculate(
            target,
            TargetAsDrafter(target, prompt),
            prompt,
            accept=exact_match(),
            tree=TreeShape(2, 3, 6),
            stop=stop,
        ).tokens.tolist()
        assert decoded == long[: len(decoded)]
        assert long.index(end) < len(decoded) <= long.index(end) + 4  # a round may go on behind it
