# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A training loop that can be interrupted at any time and goes on where it was."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

_WARM_UP = 200
_CLIP = 1.0


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """What the loop needs to know; the learning rate warms up, then follows a cosine to zero.

    ema_decay: weight of the past in the moving average of the parameters, 0 for none.
    save_every: iterations between two saved states, which are also validated.
    """

    iterations: int
    learning_rate: float
    weight_decay: float
    ema_decay: float = 0.0
    save_every: int = 250


def train(
    module: nn.Module,
    loss_at: Callable[[int], Tensor],
    *,
    settings: LoopSettings,
    checkpoint: Path,
    validate: Callable[[], str],
    report: Callable[[str], None],
) -> None:
    """Train the module in place; what it ends with is the moving average, if there is one.

    loss_at: iteration number -> loss. It must draw its batch from that number alone, so that a
    resumed run sees what an uninterrupted one would.
    checkpoint: state file; where it exists the training goes on from it.
    validate: text to report at every save, computed with the averaged parameters in place.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        [
            {'params': [p for p in parameters if p.dim() > 1]},
            {'params': [p for p in parameters if p.dim() < 2], 'weight_decay': 0.0},
        ],
        lr=settings.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=settings.weight_decay,
    )
    average = [p.detach().clone() for p in parameters]
    start = _resume(checkpoint, module, optimiser, average)
    began = time.perf_counter()
    for iteration in range(start, settings.iterations):
        for group in optimiser.param_groups:
            group['lr'] = _learning_rate(settings, iteration)
        loss = loss_at(iteration)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, _CLIP)
        optimiser.step()
        decay = min(settings.ema_decay, (iteration + 1) / (iteration + 10))
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, 1 - decay)
        done = iteration + 1
        if done % settings.save_every == 0 or done == settings.iterations:
            _save(checkpoint, done, module, optimiser, average)
            _exchange(parameters, average)
            text = validate()
            _exchange(parameters, average)
            rate = (done - start) / (time.perf_counter() - began)
            left = (settings.iterations - done) / rate / 60
            report(f'{done}/{settings.iterations} loss {loss:.4f} {text} ({left:.0f} min left)')
    _exchange(parameters, average)


def _learning_rate(settings: LoopSettings, iteration: int) -> float:
    warm_up = min(1.0, (iteration + 1) / _WARM_UP)
    cosine = 0.5 * (1 + math.cos(math.pi * iteration / settings.iterations))
    return settings.learning_rate * warm_up * cosine + 1e-6


def _exchange(parameters: list[nn.Parameter], average: list[Tensor]) -> None:
    with torch.no_grad():
        for parameter, other in zip(parameters, average, strict=True):
            kept = parameter.detach().clone()
            parameter.copy_(other)
            other.copy_(kept)


def _save(
    path: Path,
    done: int,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: list[Tensor],
) -> None:
    state = {
        'done': done,
        'module': module.state_dict(),
        'optimiser': optimiser.state_dict(),
        'average': average,
    }
    partial = path.with_suffix('.partial')
    torch.save(state, partial)
    partial.rename(path)


def _resume(
    path: Path, module: nn.Module, optimiser: torch.optim.Optimizer, average: list[Tensor]
) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    module.load_state_dict(state['module'])
    optimiser.load_state_dict(state['optimiser'])
    for mine, saved in zip(average, state['average'], strict=True):
        mine.copy_(saved)
    return state['done']
