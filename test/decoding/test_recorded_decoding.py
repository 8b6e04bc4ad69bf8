# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Recordings give what plain steps give: emulated on the CPU, and as CUDA graphs on a GPU."""

import warnings

import numpy as np
import pytest
import torch
from recorded_engine import SHAPES, Engine, graphs, guesses, needs_gpu, prompts
from recorded_ops import OpRecorder, torch_only  # noqa: F401 - a fixture
from small_models import ACTION_IDS, CONFIG, random_drafter, random_prompt, random_target

from spec_vla_ros.action_codec import ActionCodec
from spec_vla_ros.action_decoder import ActionDecoder
from spec_vla_ros.decoding.cuda.graph_runner import GraphRunner
from spec_vla_ros.decoding.runner import Runner
from spec_vla_ros.decoding.speculative import verify_and_commit
from spec_vla_ros.models.layouts.packed import PackedDrafter, PackedLlama
from spec_vla_ros.norm_stats import NormStats
from spec_vla_ros.types import Decoding

pytestmark = pytest.mark.slow


@pytest.fixture(
    params=[
        pytest.param('cpu', id='emulated'),
        pytest.param('cuda', marks=[pytest.mark.gpu, needs_gpu], id='cuda'),
    ]
)
def device(request):
    if request.param == 'cpu':
        request.getfixturevalue('torch_only')
    return request.param


def test_autoregressive(device):
    runner = graphs(device)
    plain, recorded = Engine(0, device, runner=Runner()), Engine(0, device, runner=runner)
    for prompt in prompts(10):
        expected = plain.autoregressive(prompt).tokens
        assert torch.equal(recorded.autoregressive(prompt).tokens, expected)
    assert runner.recorded == 2  # prefill and the rest: both lengths are padded to the same


@pytest.mark.parametrize('guessed', [False, True])
@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('distance', [0, 30, (0, 3, 0, 40, 9, 9, 2)])
def test_speculative(device, distance, shape, guessed):
    runner = graphs(device)
    plain, recorded = Engine(1, device, runner=Runner()), Engine(1, device, runner=runner)
    for seed, prompt in enumerate(prompts(24)):
        draft = None
        if guessed:
            draft = guesses(seed, plain.autoregressive(prompt).tokens)
        expected = plain.speculative(prompt, distance, shape, draft)
        found = recorded.speculative(prompt, distance, shape, draft)
        assert torch.equal(found.tokens, expected.tokens)
        assert torch.equal(found.choices, expected.choices)
        assert found.accept_lengths == expected.accept_lengths
        assert found.draft_passes == expected.draft_passes
    assert runner.recorded >= 2  # the prefill and the rounds


@pytest.mark.parametrize(
    'drafter',
    [{'window': 3}, {'window': 12}, {'window': 50}, {'position_mode': 'reference'}],
    ids=str,
)
@pytest.mark.parametrize('shape', ['chain', 'tree'])
def test_padding_in_front_of_the_prompt_is_not_seen(device, shape, drafter):
    """By target and drafter, whatever the drafter reads; so few recordings serve all lengths."""
    runner = graphs(device)
    plain = Engine(4, device, runner=Runner(), **drafter)
    recorded = Engine(4, device, runner=runner, **drafter)
    for repeat in range(3):
        for length in (1, 8, 9, 20, 31, 32, 33, 40):
            prompt = random_prompt(length + 100 * repeat, length=length)
            draft = guesses(length, plain.autoregressive(prompt).tokens)
            assert torch.equal(
                recorded.autoregressive(prompt).tokens, plain.autoregressive(prompt).tokens
            )
            expected = plain.speculative(prompt, 30, shape, draft)
            found = recorded.speculative(prompt, 30, shape, draft)
            assert torch.equal(found.tokens, expected.tokens)
            assert torch.equal(found.choices, expected.choices)
            assert found.accept_lengths == expected.accept_lengths
    assert runner.recorded


def test_prompts_of_like_length_share_their_recordings(device):
    runner = graphs(device)
    engine = Engine(5, device, runner=runner)
    counts = []
    for length in range(3, 33):
        engine.autoregressive(random_prompt(length, length=length))
        counts.append(runner.recorded)
    assert counts[1:] == [2] * 13 + [4] * 16  # up to 16 tokens, and up to 32


def test_models_that_would_look_at_padding_refuse_it():
    target, drafter = random_target(0), random_drafter(0)
    with pytest.raises(ValueError, match='needs a packed model'):
        GraphRunner(OpRecorder()).autoregressive(
            target, random_prompt(0), num_tokens=7, cache=target.new_cache(9)
        )
    cache = drafter.new_cache(20)
    cache.pad(torch.tensor([2]))
    with pytest.raises(ValueError, match='needs a packed model'):
        drafter(*torch.randn(2, 1, 9, 32), positions=range(9), cache=cache)


def test_strict_with_recordings_equals_autoregressive(device):
    engine = Engine(2, device, runner=graphs(device))
    for prompt in prompts(12):
        expected = engine.autoregressive(prompt).tokens
        for shape in ('chain', 'tree'):
            assert torch.equal(engine.speculative(prompt, 0, shape).tokens, expected)


def test_changed_limits_are_not_a_recording_of_the_old_ones(device):
    runner = graphs(device)
    plain, recorded = Engine(3, device, runner=Runner()), Engine(3, device, runner=runner)
    differing = 0
    for seed in range(18):
        prompt = random_prompt(seed)
        results = []
        for distance in (0, 9, 60):
            expected = plain.speculative(prompt, distance, 'tree')
            found = recorded.speculative(prompt, distance, 'tree')
            assert torch.equal(found.tokens, expected.tokens)
            results.append(tuple(found.tokens.tolist()))
        differing += len(set(results)) > 1
    assert differing


@pytest.mark.parametrize('shape', SHAPES)
def test_only_the_result_of_a_recording_outlasts_it(shape, torch_only):  # noqa: F811
    """So recordings may share the memory in which they compute."""
    runner = GraphRunner(OpRecorder(forgets=True))
    plain, recorded = Engine(6, 'cpu', runner=Runner()), Engine(6, 'cpu', runner=runner)
    for seed, prompt in enumerate(prompts(24)):
        drafted = guesses(seed, plain.autoregressive(prompt).tokens) if seed % 2 else None
        for draft in (None, drafted):
            expected = plain.speculative(prompt, 30, shape, draft)
            found = recorded.speculative(prompt, 30, shape, draft)
            assert torch.equal(found.tokens, expected.tokens)
        assert torch.equal(
            recorded.autoregressive(prompt).tokens, plain.autoregressive(prompt).tokens
        )


class Scattered(GraphRunner):
    """Forgets one step or another, not always the one that was not used for longest."""

    def __init__(self, recorder, **options):
        super().__init__(recorder, **options)
        self._random = np.random.default_rng(0)

    def run(self, phase, step, *args):
        known = list(self._recordings)
        if known and self._random.random() < 0.1:
            del self._recordings[known[self._random.integers(len(known))]]
        return super().run(phase, step, *args)


def test_what_was_forgotten_is_not_mixed_with_what_was_not(torch_only):  # noqa: F811
    """A draft that runs plainly lies elsewhere than the one whose verification was recorded."""
    runner = Scattered(OpRecorder())
    plain, recorded = Engine(7, 'cpu', runner=Runner()), Engine(7, 'cpu', runner=runner)
    for seed in range(60):
        prompt = random_prompt(seed % 4)
        expected = plain.speculative(prompt, 30, 'tree')
        found = recorded.speculative(prompt, 30, 'tree')
        assert torch.equal(found.tokens, expected.tokens)
        assert found.accept_lengths == expected.accept_lengths


@pytest.mark.gpu
@needs_gpu
def test_the_host_waits_once_a_pass_on_cuda():
    engine = Engine(9, 'cuda', runner=graphs('cuda'))
    prompt = random_prompt(0).cuda()
    for _ in range(4):
        engine.speculative(prompt, 30, 'tree')
    torch.cuda.set_sync_debug_mode('warn')
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            decoded = engine.speculative(prompt, 30, 'tree')
    finally:
        torch.cuda.set_sync_debug_mode('default')
    waits = [w for w in caught if 'synchroniz' in str(w.message)]
    assert len(waits) == len(decoded.commits) > 1


@pytest.mark.gpu
@needs_gpu
def test_bfloat16_stays_near_float32_on_cuda():
    exact = PackedLlama(random_target(0).cuda())
    rounded = PackedLlama(random_target(0).to('cuda', torch.bfloat16))
    embeds = torch.randn(1, 40, CONFIG.hidden_size, device='cuda')
    with torch.inference_mode():
        expected = exact(embeds, positions=range(40), cache=exact.new_cache(40))
        got = rounded(embeds.bfloat16(), positions=range(40), cache=rounded.new_cache(40))
    torch.testing.assert_close(got.float(), expected, atol=0.2, rtol=0.2)


def test_a_decoder_keeps_its_caches_so_that_recordings_are_used_again(torch_only):  # noqa: F811
    """Trees of guesses are filled up for recording; the caches have room for that too."""
    stats = NormStats('test', -np.ones(7), np.ones(7), np.ones(7, bool))
    codec = ActionCodec(stats, vocab_size=ACTION_IDS.stop)
    results = []
    recorded = GraphRunner(OpRecorder())
    for runner in (Runner(), recorded):
        decoder = ActionDecoder(
            PackedLlama(random_target(4)),
            codec,
            drafter=PackedDrafter(random_drafter(4)),
            tree=SHAPES['chain'],
            runner=runner,
        )
        tokens = []
        first, drift = random_prompt(0), 0.05 * random_prompt(1)
        for stamp in range(30):
            prompt = first + (stamp % 10) * drift
            relaxed = Decoding('relaxed', 9, temporal=True)
            decoded = decoder.decode(prompt, relaxed, instruction='go', stamp_ns=stamp)
            tokens.append(decoded.tokens.tolist())
        results.append(tokens)
    assert results[0] == results[1]
    prefills = [key for key in recorded._recordings if key[0] is verify_and_commit and not key[-1]]
    assert len(prefills) == 2  # with guesses and without
