# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A training loop that can be interrupted at any time, and resumes from its latest save."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from spec_vla_ros.files import written_whole

if TYPE_CHECKING:
    from accelerate import Accelerator

Validation = TypeVar('Validation')

_WARM_UP = 200  # iterations
_CLIP = 1.0  # norm of the gradient


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """Hyperparameters of the loop.

    learning_rate: the largest; it rises linearly at first, and falls to zero with a cosine.
    ema_decay: decay of the moving average of the parameters; 0 for no average.
    save_every: iterations from one save, with validation, to the next.
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
    validate: Callable[[], Validation],
    report: Callable[[str], None],
    record: Callable[[int, float, Validation], None] | None = None,
    accelerator: Accelerator | None = None,
) -> None:
    """Train the module in place; it ends with the moving average of its parameters.

    Args:
        module: what is trained, except for parameters without gradients.
        loss_at: iteration number -> loss. The batch must depend on that number alone, so that a
            resumed run is the same as an uninterrupted one.
        settings: hyperparameters.
        checkpoint: the state file; training resumes from it if it exists.
        validate: called at every save, with the averaged parameters; its result is reported.
        report: called with a line of progress at every save.
        record: called at every save with (iterations done, loss, result of `validate`).
        accelerator: for training in several processes. Each has the same module, and the loss of
            an equal part of the batch. Only the main process saves, validates and reports.

    Raises:
        ValueError: the state file is damaged or of another model; the processes find different
            state files; or loss or parameters are not finite, in which case nothing is saved.
        OSError: the state cannot be saved.
    """
    if accelerator is not None and accelerator.num_processes == 1:
        accelerator = None
    parameters: list[Tensor] = [p for p in module.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {'params': [p for p in parameters if p.dim() > 1]},
        {'params': [p for p in parameters if p.dim() < 2], 'weight_decay': 0.0},
    ]
    optimiser = torch.optim.AdamW(
        groups,
        lr=settings.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=settings.weight_decay,
    )
    average = [p.detach().clone() for p in parameters]
    start = _resume(checkpoint, module, optimiser, average)
    if accelerator is not None:
        _check_same_start(start, checkpoint, accelerator)
    began = time.perf_counter()
    for iteration in range(start, settings.iterations):
        for group in optimiser.param_groups:
            group['lr'] = _learning_rate(settings, iteration)
        loss = loss_at(iteration)
        optimiser.zero_grad()
        loss.backward()
        if accelerator is not None:
            _average([p.grad for p in parameters if p.grad is not None], accelerator)
        nn.utils.clip_grad_norm_(parameters, _CLIP)
        optimiser.step()
        decay = min(settings.ema_decay, (iteration + 1) / (iteration + 10))
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, 1 - decay)
        done = iteration + 1
        if done % settings.save_every == 0 or done == settings.iterations:
            if accelerator is not None:
                loss = accelerator.reduce(loss.detach(), reduction='mean')
            _check_finite(
                loss, average, done
            )  # in all processes, or one would wait for the others
            if accelerator is not None and not accelerator.is_main_process:
                continue  # to the next gradient, where it waits for the main process
            _save(checkpoint, done, module, optimiser, average)
            _swap(parameters, average)
            found = validate()
            _swap(parameters, average)
            rate = (done - start) / (time.perf_counter() - began)
            left = (settings.iterations - done) / rate / 60
            report(f'{done}/{settings.iterations} loss {loss:.4f} {found} ({left:.0f} min left)')
            if record is not None:
                record(done, loss.item(), found)
    if accelerator is not None:
        accelerator.wait_for_everyone()
    _swap(parameters, average)


def _learning_rate(settings: LoopSettings, iteration: int) -> float:
    warm_up = min(1.0, (iteration + 1) / _WARM_UP)
    cosine = 0.5 * (1 + math.cos(math.pi * iteration / settings.iterations))
    return settings.learning_rate * warm_up * cosine + 1e-6


def _check_finite(loss: Tensor, average: list[Tensor], done: int) -> None:
    """Raise ValueError unless the loss and the averaged parameters are finite."""
    if not loss.isfinite() or not all(p.isfinite().all() for p in average):
        raise ValueError(
            f'the training diverged: after {done} iterations the loss is {loss.item():g}, or the '
            'weights are no numbers; what was saved before is kept. Begin anew with a lower '
            '--learning-rate'
        )


def _average(tensors: list[Tensor], accelerator: Accelerator) -> None:
    """Replace the tensors of each process by their mean over all processes, in place."""
    means = accelerator.reduce(tensors, reduction='mean')
    torch._foreach_copy_(tensors, means)


def _check_same_start(start: int, checkpoint: Path, accelerator: Accelerator) -> None:
    """Raise ValueError unless all processes start at the same iteration."""
    starts = accelerator.gather(torch.tensor([start], device=accelerator.device)).tolist()
    if len(set(starts)) > 1:
        raise ValueError(
            f'the processes resume at different iterations {starts}: {checkpoint} must be on '
            'storage that all of them share'
        )


def _swap(parameters: list[Tensor], average: list[Tensor]) -> None:
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
    with written_whole(path) as partial:
        try:
            torch.save(state, partial)
        except RuntimeError as error:  # of torch's own writer, mostly a full disk
            raise OSError(
                f'{partial} cannot be written ({_short(error)}): make room, and give the command '
                'again; it goes on from what was saved before'
            ) from error


def _resume(
    path: Path, module: nn.Module, optimiser: torch.optim.Optimizer, average: list[Tensor]
) -> int:
    if not path.exists():
        return 0
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
        module.load_state_dict(state['module'])
        optimiser.load_state_dict(state['optimiser'])
        for mine, saved in zip(average, state['average'], strict=True):
            mine.copy_(saved)
        return int(state['done'])
    except OSError:
        raise
    except Exception as error:  # pickle, zip and torch have many
        raise ValueError(
            f'{path} is damaged, or of another model ({_short(error)}): remove it, and the '
            'training begins anew'
        ) from error


def _short(error: Exception) -> str:
    return (str(error) or type(error).__name__).partition('\n')[0]
