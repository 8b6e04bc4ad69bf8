# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Every parameter of the nodes: name, default, unit, range, meaning; the one place for them.

A settings object is frozen: whoever works with one sees one consistent set. The ROS layer declares
parameters from these tables and replaces the whole object when some of them change.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spec_vla_ros.protocols import MODES, Decoding
from spec_vla_ros.runtime.guards import ActionLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a parameter means and may be.

    low, high: inclusive bounds of a number; choices: the valid strings, any if empty.
    live: whether it may be changed while the node runs.
    """

    description: str
    unit: str = ''
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False


def parameter(description: str, *, default: Any, **meaning: Any) -> Any:
    """Return a dataclass field that is a parameter."""
    return dataclasses.field(
        default=default, metadata={'meaning': Meaning(description=description, **meaning)}
    )


def meaning_of(field: dataclasses.Field) -> Meaning:
    """Return what a settings field means."""
    return field.metadata['meaning']


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """Parameters of the policy node."""

    checkpoint: str = parameter(
        'Folder of an OpenVLA checkpoint; empty: the small tabletop policy that is shipped',
        default='',
    )
    unnorm_key: str = parameter(
        'Norm stats to un-normalise actions with; may be empty where there is only one', default=''
    )
    device: str = parameter(
        "Where the policy runs: 'auto', 'cpu', 'cuda', 'cuda:1', ...", default='auto'
    )
    dtype: str = parameter(
        'Precision of the weights',
        default='auto',
        choices=('auto', 'float32', 'float16', 'bfloat16'),
    )
    drafter: str = parameter(
        "Folder of the checkpoint's drafter; empty: the folder `drafter` inside the checkpoint",
        default='',
    )
    draft_position_mode: str = parameter(
        "Rotary positions of draft trees: 'correct', 'reference' as published, or empty for what "
        'the drafter says it was made for',
        default='',
        choices=('', 'correct', 'reference'),
    )
    draft_top_k: int = parameter(
        'Width of the draft tree; 0: width, depth and size are chosen by measured costs',
        default=0,
        low=0,
        high=32,
    )
    draft_depth: int = parameter(
        'Levels of the draft tree, where draft_top_k is not 0', default=6, low=1, high=32
    )
    draft_nodes: int = parameter(
        'Draft tokens in the tree, where draft_top_k is not 0', default=49, low=1, high=256
    )
    decoding_mode: str = parameter(
        'Token by token; speculatively with the same result; or speculatively, taking draft '
        "tokens near the model's choice",
        default='autoregressive',
        choices=MODES,
        live=True,
    )
    acceptance_threshold: int = parameter(
        "How far from the model's choice a draft token may be in relaxed mode",
        default=9,
        unit='bins',
        low=0,
        high=255,
        live=True,
    )
    acceptance_by_dimension: tuple[int, ...] = parameter(
        'The threshold of each action dimension; -1: acceptance_threshold. The gripper is exact',
        default=(-1, -1, -1, -1, -1, -1, 0),
        unit='bins',
        low=-1,
        high=255,
        live=True,
    )
    temporal_draft: bool = parameter(
        'Verify guesses from the previous actions inside the prefill, in the speculative modes',
        default=True,
        live=True,
    )
    torch_threads: int = parameter(
        'CPU threads of one inference; more can starve the other nodes', default=1, low=1, high=256
    )
    image_transport: str = parameter(
        "'raw' subscribes to image, 'compressed' to image/compressed",
        default='raw',
        choices=('raw', 'compressed'),
    )
    command_frame: str = parameter(
        'Frame the deltas are expressed in, put into the header of every command',
        default='base_link',
    )
    control_rate: float = parameter(
        'Rate at which commands are published', default=30.0, unit='Hz', low=1.0, high=500.0
    )
    step_duration: float = parameter(
        'Over how long one action is executed, rounded to whole control ticks, at least one',
        default=0.1,
        unit='s',
        low=0.01,
        high=5.0,
        live=True,
    )
    wait_for_motion: bool = parameter(
        'Infer only from images taken after the previous action was executed; false: infer while '
        'the arm moves, which is faster and less exact',
        default=True,
        live=True,
    )
    settle_time: float = parameter(
        'How long after a motion the arm still moves; images from that time are not used',
        default=0.0,
        unit='s',
        low=0.0,
        high=5.0,
        live=True,
    )
    image_timeout: float = parameter(
        'Halt when the newest image is older than this',
        default=0.5,
        unit='s',
        low=0.05,
        high=10.0,
        live=True,
    )
    inference_timeout: float = parameter(
        'Halt when an inference takes longer than this',
        default=2.0,
        unit='s',
        low=0.05,
        high=120.0,
        live=True,
    )
    max_step_translation: float = parameter(
        'Refuse actions that move further', default=0.05, unit='m', low=0.0, high=1.0, live=True
    )
    max_step_rotation: float = parameter(
        'Refuse actions that turn further',
        default=0.5,
        unit='rad',
        low=0.0,
        high=math.pi,
        live=True,
    )
    dry_run: bool = parameter(
        'Publish everything but twists and gripper commands', default=False, live=True
    )

    @property
    def decoding(self) -> Decoding:
        """How the next action is to be decoded."""
        distances = (
            self.acceptance_threshold if own < 0 else own for own in self.acceptance_by_dimension
        )
        return Decoding(self.decoding_mode, tuple(distances), temporal=self.temporal_draft)

    @property
    def limits(self) -> ActionLimits:
        """The largest action that is believed."""
        return ActionLimits(translation=self.max_step_translation, rotation=self.max_step_rotation)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimSettings:
    """Parameters of the simulated robot."""

    image_size: int = parameter(
        'Width and height of the camera image', default=192, unit='px', low=32, high=480
    )
    frame_rate: float = parameter(
        'Rate of image, camera info and pose', default=30.0, unit='Hz', low=1.0, high=120.0
    )
    image_transport: str = parameter(
        "'raw' publishes image, 'compressed' image/compressed as JPEG, 'both' both",
        default='raw',
        choices=('raw', 'compressed', 'both'),
    )
    command_timeout: float = parameter(
        'Stop when no velocity command came for this long',
        default=0.1,
        unit='s',
        low=0.01,
        high=5.0,
    )
    base_frame: str = parameter('Frame of poses and velocity commands', default='base_link')
    camera_frame: str = parameter('Frame of the images', default='camera_optical_frame')
    seed: int = parameter(
        'Seed of the scene before the first reset', default=0, low=0, high=2**32 - 1
    )


Settings = PolicySettings | SimSettings


def changed(settings: Settings, changes: Mapping[str, Any], *, running: bool) -> Settings:
    """Return new settings with these changes.

    running: refuse changes of what cannot change while the node runs.
    Raises ValueError, saying which parameter is wrong, and what would be right.
    """
    fields = {field.name: field for field in dataclasses.fields(settings)}
    for name, value in changes.items():
        if name not in fields:
            raise ValueError(f'{name}: no such parameter; there are {", ".join(fields)}')
        _check(fields[name], value)
        if running and value != getattr(settings, name) and not meaning_of(fields[name]).live:
            raise ValueError(f'{name}: read at start only; restart the node to change it')
    return dataclasses.replace(settings, **changes)


def _check(field: dataclasses.Field, value: Any) -> None:
    name, meaning, kind = field.name, meaning_of(field), type(field.default)
    if type(value) is not kind:
        raise ValueError(f'{name}: expected {kind.__name__}, got {type(value).__name__} {value!r}')
    numbers = value if kind is tuple else (value,)
    if kind is tuple and len(value) != len(field.default):
        raise ValueError(f'{name}: {len(value)} numbers given, {len(field.default)} are needed')
    for number in numbers if meaning.low is not None else ():
        if not meaning.low <= number <= meaning.high:
            unit = f' {meaning.unit}' if meaning.unit else ''
            raise ValueError(
                f'{name}: {number} is outside [{meaning.low:g}, {meaning.high:g}]{unit}'
            )
    if meaning.choices and value not in meaning.choices:
        raise ValueError(f'{name}: {value!r} is none of {", ".join(map(repr, meaning.choices))}')
    if name.endswith('_frame') and not value:
        raise ValueError(f'{name}: must not be empty')
