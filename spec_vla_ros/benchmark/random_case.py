# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Models of random weights, as fast as trained ones, for replaying recorded accept lengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from spec_vla_ros.benchmark.floor import Pass
from spec_vla_ros.benchmark.timing import Method, TimedAction
from spec_vla_ros.benchmark.trace import (
    ActionTrace,
    WayTrace,
    decoding_of,
    guessed_tree,
    replayed,
)
from spec_vla_ros.decoding.acceptance import AcceptanceRule
from spec_vla_ros.decoding.cuda.graph_runner import runner_for
from spec_vla_ros.decoding.draft_tree import TreeRule, spaced
from spec_vla_ros.decoding.drafting import TreeDrafter
from spec_vla_ros.decoding.generate import Decoded, FixedCount
from spec_vla_ros.decoding.runner import Runner
from spec_vla_ros.device import PhaseTimer
from spec_vla_ros.evaluation.transformers_generate import TransformersGenerate
from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.layouts.packed import PackedDrafter, PackedLlama
from spec_vla_ros.models.llama import Llama
from spec_vla_ros.models.llama_config import LlamaConfig
from spec_vla_ros.models.openvla import OpenVLA, OpenVLAConfig, multimodal_embeds
from spec_vla_ros.planning.plan import TreePlan
from spec_vla_ros.types import AUTOREGRESSIVE, DIMENSIONS, thresholds_by_dimension

ACTION_IDS = range(31744, 32000)
GENERATE, FIRST_TOKEN = 'transformers generate', 'transformers generate, first token'


Module = TypeVar('Module', bound=nn.Module)


@dataclass(frozen=True, slots=True)
class RandomCase:
    """The shape of a model of random weights.

    layers, hidden_size, intermediate_size: of the language model. Attention heads have 64
        dimensions, or 128 from a hidden size of 4096 on.
    prompt_length: tokens of image and text.
    towers: timm's names of the vision towers; none to leave out the vision.
    image_size: side of the towers' image, pixels.
    """

    layers: int
    hidden_size: int
    intermediate_size: int
    prompt_length: int
    towers: tuple[str, ...] = ()
    image_size: int = 224

    @property
    def config(self) -> LlamaConfig:
        """Configuration of the language model, with OpenVLA's vocabulary."""
        head_dim = 128 if self.hidden_size >= 4096 else 64
        return LlamaConfig.from_dict(
            {
                'vocab_size': 32064,
                'hidden_size': self.hidden_size,
                'intermediate_size': self.intermediate_size,
                'num_hidden_layers': self.layers,
                'num_attention_heads': self.hidden_size // head_dim,
            }
        )


CUDA_ONLY = 'openvla-7b shape'

RANDOM_CASES = {
    '12x512': RandomCase(12, 512, 1376, 290),
    '12x512, 24-token prompt': RandomCase(12, 512, 1376, 24),
    '16x1024': RandomCase(16, 1024, 2752, 290),
    CUDA_ONLY: RandomCase(
        32,
        4096,
        11008,
        290,
        ('vit_large_patch14_reg4_dinov2.lvd142m', 'vit_so400m_patch14_siglip_224'),
    ),
}
"""Name -> case; `CUDA_ONLY` is too large for most CPUs."""


class RandomModel:
    """A model of random weights on its device, with a drafter.

    Args:
        case: shape of the model.
        device: where its weights are made.
        dtype: of the weights.
        draft_window: window of the drafter; the same as of the one whose accept lengths are
            replayed.
    """

    def __init__(
        self,
        case: RandomCase,
        *,
        device: torch.device,
        dtype: torch.dtype,
        draft_window: int | None,
    ) -> None:
        self.config = case.config
        generator = torch.Generator(device).manual_seed(0)
        self._vision: Callable[[], Tensor] | None = None
        if case.towers:
            openvla = _random(lambda: OpenVLA(_openvla(case)), device, dtype, generator)
            self.plain = openvla.language_model
            shape = (1, 3 * len(case.towers), case.image_size, case.image_size)
            pixels = torch.randn(shape, device=device, generator=generator)
            self._vision = partial(openvla.image_embeds, pixels.to(dtype))
        else:
            self.plain = _random(lambda: Llama(self.config), device, dtype, generator)
        drafter = _random(
            # With random weights its scores hardly differ. The low temperature makes them differ
            # enough for trees to grow deep.
            lambda: Drafter(self.config, window=draft_window, temperature=1e-3),
            device,
            dtype,
            generator,
        )
        self.target = PackedLlama(self.plain)
        self.drafter = TreeDrafter(PackedDrafter(drafter), self.target, ids=ACTION_IDS)
        prompt = (1, case.prompt_length, case.hidden_size)
        self.prompt = torch.randn(prompt, device=device, generator=generator).to(dtype)
        self._cache = self.target.new_cache(case.prompt_length + 128)

    def _see(self, runner: Runner) -> tuple[Tensor, PhaseTimer]:
        """Run the vision; return the prompt's embeddings, and a timer with the vision's time."""
        timer = PhaseTimer(self.prompt.device)
        if self._vision is None:
            return self.prompt, timer
        with timer.phase('vision'), torch.inference_mode():
            image = runner.run('vision', self._vision)
            text = self.prompt[:, : self.prompt.shape[1] - image.shape[1]]
            prompt = multimodal_embeds(text, image)
        return prompt, timer

    def methods(
        self,
        ways: Mapping[str, WayTrace],
        *,
        acceptance_threshold: int,
        actions: int,
    ) -> dict[str, Method]:
        """Return the methods to time: transformers' generate and every way of decoding, by name.

        Each raises ValueError if a replayed action comes out differently from its recording.

        Args:
            ways: name of a way of decoding -> the recording that is replayed.
            acceptance_threshold: of relaxed decoding, in bins, as in the recording.
            actions: how many actions of each recording are replayed.
        """
        generate = TransformersGenerate(self.plain)
        runner = runner_for(self.prompt.device)
        found: dict[str, Method] = {
            GENERATE: lambda _: TimedAction(
                tuple(generate(self._see(runner)[0], num_tokens=DIMENSIONS).tolist())
            ),
            FIRST_TOKEN: lambda _: TimedAction(
                tuple(generate(self._see(runner)[0], num_tokens=1).tolist())
            ),
            AUTOREGRESSIVE: lambda _: self._autoregressive(runner),
        }
        for name, way in ways.items():
            threshold = decoding_of(name, acceptance_threshold).acceptance_threshold
            chosen = way.sample(actions)
            rules = [replayed(a.commits, device=self.prompt.device) for a in chosen]
            tree = spaced(
                TreePlan(way.shapes, (0.0,) * len(way.shapes)),
                thresholds_by_dimension(threshold, DIMENSIONS),
            )
            found[name] = partial(self._replay, tree, chosen, rules, runner)
        return found

    def _autoregressive(self, runner: Runner) -> TimedAction:
        prompt, timer = self._see(runner)
        decoded = runner.autoregressive(
            self.target,
            prompt,
            num_tokens=DIMENSIONS,
            cache=self._cache,
            run=timer.timed(runner.run),
        )
        return _timed_action(decoded, AUTOREGRESSIVE, timer)

    def _replay(
        self,
        tree: TreeRule,
        actions: Sequence[ActionTrace],
        rules: Sequence[AcceptanceRule],
        runner: Runner,
        number: int,
    ) -> TimedAction:
        action = actions[number]
        prompt, timer = self._see(runner)
        decoded = runner.speculative(
            self.target,
            self.drafter,
            prompt,
            accept=rules[number],
            tree=tree,
            stop=FixedCount(DIMENSIONS),
            draft=guessed_tree(action, action_ids=ACTION_IDS),
            cache=self._cache,
            run=timer.timed(runner.run),
        )
        if decoded.commits != action.commits:
            raise ValueError(
                f'{action} was replayed as {decoded.commits}: the trace does not fit these trees, '
                'record it again'
            )
        return _timed_action(decoded, 'replayed', timer)


def passes_of(way: WayTrace, action: ActionTrace, *, prompt_length: int) -> list[Pass]:
    """Return the target's passes of a recorded action, the prefill first.

    prompt_length: tokens of the prompt that the action is replayed with.
    """
    drafted = max(len(action.guesses) - 1, 0)
    passes = [Pass(prompt_length + drafted, 1 + drafted)]
    left = DIMENSIONS - action.commits[0]
    for committed in action.commits[1:]:
        shape = way.shapes[left - 1]
        nodes = 1 + (0 if shape is None else shape.nodes)
        passes.append(Pass(nodes, nodes))
        left -= committed
    return passes


def _timed_action(decoded: Decoded, mode: str, timer: PhaseTimer) -> TimedAction:
    stats = decoded.stats(mode, phases_ms=timer.milliseconds())
    return TimedAction(tuple(decoded.tokens.tolist()), stats)


def _openvla(case: RandomCase) -> OpenVLAConfig:
    return OpenVLAConfig(
        timm_model_ids=case.towers,
        image_sizes=(case.image_size,) * len(case.towers),
        act_layers=(None,) * len(case.towers),
        text=case.config,
        vocab_size=32000,
    )


def _random(
    build: Callable[[], Module],
    device: torch.device,
    dtype: torch.dtype,
    generator: torch.Generator,
) -> Module:
    """Return a module with random weights, which are drawn on its device."""
    with torch.device('meta'):
        module = build()
    for owner in module.modules():
        for name, parameter in list(owner.named_parameters(recurse=False)):
            weight: Tensor = torch.empty(parameter.shape, device=device, dtype=dtype)
            if weight.dim() > 1:
                weight.normal_(std=0.02, generator=generator)
                weight.copy_(weight.bfloat16())  # values that a checkpoint could hold
            else:
                weight.fill_(1.0)
            setattr(owner, name, nn.Parameter(weight, requires_grad=False))
    return module.to(device).eval()
