# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The types that the parts of the package exchange: observations, decodings, actions.

They need only numpy and dataclasses, so that the robot's side (ROS), the simulator and the model's
side (torch) can use them without importing each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from numbers import Integral
from typing import Any, Protocol

import numpy as np

from spec_vla_ros.instructions import fault_of_words

NANOSECONDS = 1_000_000_000
"""Nanoseconds in a second."""

DIMENSION_NAMES = ('x', 'y', 'z', 'roll', 'pitch', 'yaw', 'gripper')
"""The dimensions of an end effector's action: position, rotation, gripper."""

DIMENSIONS = len(DIMENSION_NAMES)


@dataclass(frozen=True, slots=True)
class Observation:
    """What the policy sees at one moment.

    image: (H, W, 3) uint8, RGB; or one that Pillow opened, which is turned as its EXIF says.
    instruction: what to do, in words; or the token ids of a prompt, which are copied.
    stamp_ns: when the image was taken, in nanoseconds by the caller's clock.

    Raises:
        ValueError: the stamp is no whole number. It may be one in seconds.
    """

    image: np.ndarray
    instruction: str
    stamp_ns: int = 0

    def __post_init__(self) -> None:
        ids: Any = self.instruction
        if isinstance(ids, np.ndarray):
            ids = ids.tolist()
        if isinstance(ids, list):
            # A copy, since the encoder keeps the last prompt and compares the next one with it.
            object.__setattr__(self, 'instruction', tuple(ids))
        if not isinstance(self.stamp_ns, Integral):
            raise ValueError(
                f'stamp_ns {self.stamp_ns!r}: give whole nanoseconds, as time.time_ns() does'
            )


AUTOREGRESSIVE, STRICT, RELAXED = 'autoregressive', 'strict', 'relaxed'

MODES = (AUTOREGRESSIVE, STRICT, RELAXED)
"""How to decode: token by token; speculatively with the same result, except for rounding;
speculatively, also accepting draft tokens near the target's choice."""


PRECISIONS = ('float32', 'float16', 'bfloat16')
"""Types with which a model can compute."""

STORED_AS = ('int8', 'int4')
"""Types with few bits as which weights can be stored."""

MOST_METRES, MOST_RADIANS = 0.05, 0.2
"""The largest acceptance tolerances. With larger ones, the executed action would be the drafter's.
"""

POSITION_MODES = ('correct', 'reference')
"""Rotary positions of draft trees: those of the sequence, or those of the published code."""


def check_choice(name: str, value: str, valid: Sequence[str]) -> None:
    """Raise ValueError if a value is not among the valid ones; the message lists them."""
    if value not in valid:
        raise ValueError(f'{name} {value!r} is none of {", ".join(valid)}')


@dataclass(frozen=True, slots=True)
class Decoding:
    """How an action is to be decoded; it holds for a whole inference.

    mode: one of `MODES`.
    acceptance_threshold: how many bins a draft token may be off in relaxed mode, r in the paper;
        one for all dimensions or one for each, see `thresholds_by_dimension`.
    temporal: whether drafts from the previous actions are verified inside the prefill (not in
        autoregressive mode).
    acceptance_tolerance_translation: how many metres a draft token may be off along each axis;
        None for no tolerance.
    acceptance_tolerance_rotation: likewise, how many radians about each axis.

    In its dimensions, a tolerance replaces a single threshold. If there is a threshold for each
    dimension, the stricter of the two holds.

    Raises:
        ValueError: the mode is unknown; a threshold is not whole or negative; or a tolerance is
            negative, too large or no number.
    """

    mode: str = AUTOREGRESSIVE
    acceptance_threshold: int | tuple[int, ...] = 0
    temporal: bool = True
    _: KW_ONLY
    acceptance_tolerance_translation: float | None = None
    acceptance_tolerance_rotation: float | None = None

    def __post_init__(self) -> None:
        check_choice('decoding mode', self.mode, MODES)
        if not isinstance(self.temporal, bool | np.bool_):
            raise ValueError(f'temporal {self.temporal!r}: give True or False')
        for name, most, unit in (
            ('acceptance_tolerance_translation', MOST_METRES, 'metres'),
            ('acceptance_tolerance_rotation', MOST_RADIANS, 'radians'),
        ):
            limit: Any = getattr(self, name)
            number = isinstance(limit, int | float | np.number) and not isinstance(limit, bool)
            if limit is not None and not (number and 0 <= limit <= most):
                raise ValueError(
                    f'{name} {limit!r}: give a number of 0 or more, or None; it is in {unit}, '
                    f'and at most {most}'
                )
        bins: Any = self.acceptance_threshold
        several = isinstance(bins, Sequence | np.ndarray) and not isinstance(bins, str)
        for r in bins if several else (bins,):
            if not isinstance(r, Integral) or isinstance(r, bool) or r < 0:
                raise ValueError(f'acceptance_threshold {r!r}: give whole bins, 0 or more')
        # numpy's integers become Python's, which can be compared and sent as JSON.
        whole = tuple(map(int, bins)) if several else int(bins)
        object.__setattr__(self, 'acceptance_threshold', whole)


def thresholds_by_dimension(
    threshold: int | Sequence[int], dimensions: int, *, own: Sequence[int] = ()
) -> tuple[int, ...]:
    """Return the acceptance threshold of each action dimension.

    Args:
        threshold: one number for all dimensions but the last, the gripper, which stays exact; or
            one number for each dimension.
        dimensions: the number of dimensions.
        own: for each dimension, a number that replaces the threshold, or -1; empty for none.

    Raises:
        ValueError: a sequence has another length.
    """
    if isinstance(threshold, int):
        threshold = (threshold,) * (dimensions - 1) + (0,)
    own = own or (-1,) * dimensions
    for given in (threshold, own):
        if len(given) != dimensions:
            raise ValueError(
                f'{len(given)} acceptance thresholds for {dimensions} action dimensions'
            )
    return tuple(r if o < 0 else o for r, o in zip(threshold, own, strict=True))


@dataclass(frozen=True, slots=True)
class DecodeStats:
    """How one action was decoded.

    mode: name of the decoding mode, one of `MODES`.
    target_passes: forward passes of the target, prefill included.
    draft_passes: forward passes of the drafter.
    accept_lengths: tokens committed by each verify round (bonus token included).
    acceptance_thresholds: how many bins a draft token could be off in each dimension; empty except
        in relaxed mode.
    phases_ms: wall time of each phase in milliseconds (vision, prefill, draft, verify, ...).
    guesses: how many draft tokens were verified inside the prefill.
    draft_plan: the plan in force, see `planning.plan.TreePlan.text`; empty without a plan.
    drafting_off: whether that plan drafts nothing, because no draft is worth its time on this
        device.
    """

    mode: str
    target_passes: int
    draft_passes: int = 0
    accept_lengths: tuple[int, ...] = ()
    phases_ms: Mapping[str, float] = field(default_factory=dict)
    acceptance_thresholds: tuple[int, ...] = ()
    guesses: int = 0
    draft_plan: str = ''
    drafting_off: bool = False

    @property
    def commits(self) -> tuple[int, ...]:
        """How many tokens each pass of the target committed, the prefill first.

        A pass without anything to verify, which is no verify round, committed one.
        """
        plain = self.target_passes - len(self.accept_lengths)
        return (*(1,) * plain, *self.accept_lengths)


def accept_length(tokens: int, target_passes: int, *, actions: int = 1) -> float | None:
    """Return the mean tokens per verify round, as the Spec-VLA paper counts (arXiv 2507.22424).

    An action's prefill is no round. None if there were no rounds, since every action was decided
    in its prefill.
    """
    rounds = target_passes - actions
    return tokens / rounds if rounds > 0 else None


@dataclass(frozen=True, slots=True)
class Action:
    """One model step: an end-effector displacement and a gripper opening.

    values: (D,) float64, un-normalised: metres, radians, gripper opening, if norm stats and recipe
        are right.
    normalised: (D,) float64 in [-1, 1], before un-normalising.
    tokens: (D,) int64 action token ids.
    stats: how it was decoded.
    """

    values: np.ndarray
    normalised: np.ndarray
    tokens: np.ndarray
    stats: DecodeStats


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInfo:
    """What a policy is and where it runs, for diagnostics and for choices that depend on it.

    checkpoint: its folder.
    unnorm_key: the norm stats with which its actions are un-normalised.
    recipe: its recipe, in words.
    files: the checkpoint's fingerprint when it was read.
    device, dtype: where and with which precision it runs.
    parameters: the number of the target's parameters.
    has_drafter: whether the speculative modes can be chosen.
    device_memory_mb, device_memory_peak_mb: memory used on the device, now and at most so far;
        None if the device does not tell.
    """

    checkpoint: str = ''
    unnorm_key: str = ''
    recipe: str = ''
    files: str = ''
    device: str = ''
    dtype: str = ''
    parameters: int = 0
    has_drafter: bool = False
    device_memory_mb: float | None = None
    device_memory_peak_mb: float | None = None


class NotAnActionError(ValueError):
    """The policy answered with tokens that are no actions, as models without such training do.

    tokens: the ids of its answer.
    """

    def __init__(self, message: str, *, tokens: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.tokens = tokens


class InstructionError(ValueError):
    """The policy can never follow this instruction; the message says why."""


MAX_INSTRUCTION = 500
"""Characters of an instruction; a longer one must be a mistake."""


def instruction_fault(text: str) -> str | None:
    """Return why an instruction is refused; None if it is accepted.

    text: the instruction without white space around it.
    """
    if len(text) > MAX_INSTRUCTION:
        return f'the instruction has {len(text)} characters, at most {MAX_INSTRUCTION} are read'
    return fault_of_words(text)


class UnreadableError(ValueError):
    """Images of this kind can never be read; the message says which kind."""


class Policy(Protocol):
    """Anything that turns observations into actions."""

    @property
    def info(self) -> PolicyInfo:
        """What the policy is and where it runs; may be read from any thread."""

    def infer(self, observation: Observation, decoding: Decoding) -> Action:
        """Return the action for this observation, decoded in this way."""

    def reset(self) -> None:
        """Forget everything kept from earlier observations."""
