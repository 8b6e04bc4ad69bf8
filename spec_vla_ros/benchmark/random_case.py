# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Models of random weights: the speed of a trained one, with accept lengths replayed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from spec_vla_ros.benchmark.floor import Pass
from spec_vla_ros.benchmark.reference import TransformersGenerate
from spec_vla_ros.benchmark.timing import Method, Outcome
from spec_vla_ros.benchmark.trace import ActionTrace, WayTrace, guessed_tree, replayed
from spec_vla_ros.decoding.acceptance import per_dimension
from spec_vla_ros.decoding.cuda_graphs import steps_for
from spec_vla_ros.decoding.generate import Decoded, autoregressive_generate, padded_length
from spec_vla_ros.decoding.speculative import speculative_generate
from spec_vla_ros.decoding.speculative_settings import room_needed
from spec_vla_ros.decoding.steps import Steps
from spec_vla_ros.decoding.timing import PhaseTimer
from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.llama import Llama
from spec_vla_ros.models.llama_config import LlamaConfig
from spec_vla_ros.models.openvla import OpenVLA, OpenVLAConfig, multimodal_embeds
from spec_vla_ros.models.packed import PackedDrafter, PackedLlama

ACTION_IDS = range(31744, 32000)
NUM_TOKENS = 7
AUTOREGRESSIVE = 'autoregressive'
GENERATE, FIRST_TOKEN = 'transformers generate', 'transformers generate, first token'


@dataclass(frozen=True, slots=True)
class RandomCase:
    """A model of random weights.

    layers, hidden, intermediate: its shape; heads are 64 wide, or 128 from 4096 on.
    prompt_length: tokens of image and text.
    towers: timm's names of the vision towers, where the image is computed too.
    image_size: side of their image, pixels.
    """

    layers: int
    hidden: int
    intermediate: int
    prompt_length: int
    towers: tuple[str, ...] = ()
    image_size: int = 224

    @property
    def config(self) -> LlamaConfig:
        """The language model's, with OpenVLA's vocabulary."""
        return LlamaConfig.from_dict(
            {
                'vocab_size': 32064,
                'hidden_size': self.hidden,
                'intermediate_size': self.intermediate,
                'num_hidden_layers': self.layers,
                'num_attention_heads': self.hidden // (128 if self.hidden >= 4096 else 64),
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
"""On the CPU all but the last, which is for CUDA."""


class RandomModel:
    """The model of a case, built in place on its device, and its drafter.

    draft_window: of the drafter, as of the one whose accept lengths are replayed.

    Raises:
        ValueError: a replayed action came out otherwise than it was recorded.
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
        self._vision = None
        if case.towers:
            openvla = _random(lambda: OpenVLA(_openvla(case)), device, dtype, generator)
            self.plain, pixels = openvla.language_model, (1, 3 * len(case.towers))
            pixels = torch.randn(
                *pixels, case.image_size, case.image_size, device=device, generator=generator
            )
            self._vision = partial(openvla.image_embeds, pixels.to(dtype))
        else:
            self.plain = _random(lambda: Llama(self.config), device, dtype, generator)
        drafter = _random(
            lambda: Drafter(self.config, window=draft_window), device, dtype, generator
        )
        self.target, self.drafter = PackedLlama(self.plain), PackedDrafter(drafter)
        shape = (1, case.prompt_length, case.hidden)
        self.prompt = torch.randn(shape, device=device, generator=generator).to(dtype)
        self._cache = self.target.new_cache(case.prompt_length + 128)
        self._draft_cache = self.drafter.new_cache(case.prompt_length + 128)

    def _see(self, steps: Steps) -> tuple[Tensor, PhaseTimer]:
        """Return a prompt with the image in it, and what knows how long that took."""
        timer = PhaseTimer(self.prompt.device)
        if self._vision is None:
            return self.prompt, timer
        with timer.phase('vision'), torch.inference_mode():
            image = steps.run('vision', self._vision)
            text = self.prompt[:, : self.prompt.shape[1] - image.shape[1]]
            prompt = multimodal_embeds(text, image)
        return prompt, timer

    def methods(
        self,
        ways: Mapping[str, WayTrace],
        *,
        max_distance: int,
        actions: int,
        graphs: str = 'action',
    ) -> dict[str, Method]:
        """Return every way to an action, by name.

        Args:
            ways: what is replayed, by way of decoding.
            max_distance: relaxed acceptance's, as when it was recorded.
            actions: how many are chosen from each way's recording.
            graphs: see `steps_for`.
        """
        generate = TransformersGenerate(self.plain)
        steps = steps_for(self.prompt.device, graphs=graphs)
        found: dict[str, Method] = {
            GENERATE: lambda _: Outcome(
                tuple(generate(self._see(steps)[0], num_tokens=NUM_TOKENS).tolist())
            ),
            FIRST_TOKEN: lambda _: Outcome(
                tuple(generate(self._see(steps)[0], num_tokens=1).tolist())
            ),
            AUTOREGRESSIVE: lambda _: self._autoregressive(steps),
        }
        for name, way in ways.items():
            distance = 0 if name == 'strict' else max_distance
            chosen = way.sample(actions)
            found[name] = lambda i, w=way, c=chosen, d=distance: self._replay(w, c[i], d, steps)
        return found

    def _autoregressive(self, steps: Steps) -> Outcome:
        prompt, seeing = self._see(steps)
        decoded = autoregressive_generate(
            self.target,
            prompt,
            num_tokens=NUM_TOKENS,
            cache=self._cache,
            steps=steps,
        )
        return _outcome(decoded, seeing)

    def _replay(self, way: WayTrace, action: ActionTrace, distance: int, steps: Steps) -> Outcome:
        settings = replayed(
            way,
            action,
            max_distance=per_dimension(distance, NUM_TOKENS),
            action_ids=ACTION_IDS,
        )
        draft = guessed_tree(action, action_ids=ACTION_IDS)
        length = padded_length(self.prompt.shape[1], steps)
        needed = room_needed(length, settings, guessed=steps.rounded(len(action.guesses)))
        if needed > self._cache.max_len:
            raise ValueError(f'the trees of the trace need a cache of {needed} entries')
        prompt, seeing = self._see(steps)
        decoded = speculative_generate(
            self.target,
            self.drafter,
            prompt,
            settings=settings,
            draft=draft,
            cache=self._cache,
            draft_cache=self._draft_cache,
            steps=steps,
        )
        if decoded.stats.target_passes != len(action.commits):
            raise ValueError(
                f'{action} was replayed in {decoded.stats.target_passes} passes: the trace does '
                'not fit these trees, record it again'
            )
        return _outcome(decoded, seeing)


def passes_of(way: WayTrace, action: ActionTrace, *, prompt_length: int) -> list[Pass]:
    """Return the target's passes of a recorded action."""
    drafted = max(len(action.guesses) - 1, 0)
    passes = [Pass(prompt_length + drafted, 1 + drafted)]
    left = NUM_TOKENS - action.commits[0]
    for committed in action.commits[1:]:
        shape = way.shapes[left - 1]
        nodes = 1 + (0 if shape is None else shape.nodes)
        passes.append(Pass(nodes, nodes))
        left -= committed
    return passes


def _outcome(decoded: Decoded, seeing: PhaseTimer) -> Outcome:
    phases = {**seeing.milliseconds(), **decoded.stats.phases_ms}
    stats = replace(decoded.stats, phases_ms=phases)
    return Outcome(tuple(decoded.tokens.tolist()), stats)


def _openvla(case: RandomCase) -> OpenVLAConfig:
    return OpenVLAConfig(
        timm_model_ids=case.towers,
        image_sizes=(case.image_size,) * len(case.towers),
        act_layers=(None,) * len(case.towers),
        text=case.config,
        vocab_size=32000,
    )


def _random(
    build: Callable[[], nn.Module],
    device: torch.device,
    dtype: torch.dtype,
    generator: torch.Generator,
) -> nn.Module:
    with torch.device('meta'):
        module = build()
    for owner in module.modules():
        for name, parameter in list(owner.named_parameters(recurse=False)):
            weight: Tensor = torch.empty(parameter.shape, device=device, dtype=dtype)
            if weight.dim() > 1:
                weight.normal_(std=0.02, generator=generator)
            else:
                weight.fill_(1.0)
            setattr(owner, name, nn.Parameter(weight, requires_grad=False))
    return module.to(device).eval()
