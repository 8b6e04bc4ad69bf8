# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Parameters of the policy node that choose the model and how it decodes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TypeVar

from spec_vla_ros.settings.parameter import parameter
from spec_vla_ros.types import (
    GRAPHS,
    MODES,
    POSITION_MODES,
    PRECISIONS,
    STORED_AS,
    Decoding,
    thresholds_by_dimension,
)

AUTO = 'auto'
Self = TypeVar('Self', bound='ModelSettings')


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Which model, where it runs, how it decodes."""

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
        choices=('auto', *PRECISIONS),
    )
    stored_as: str = parameter(
        "How the language model's weights are stored: empty for `dtype`, or in eight or four bits "
        'through torchao, which must be installed',
        default='',
        choices=('', *STORED_AS),
    )
    cuda_graphs: str = parameter(
        'What is recorded on CUDA and then launched at once: a speculative action, whose passes '
        'the device chooses itself; each of its passes; or nothing',
        default='action',
        choices=GRAPHS,
    )
    drafter: str = parameter(
        "Folder of the checkpoint's drafter; empty: the folder `drafter` inside the checkpoint",
        default='',
    )
    draft_position_mode: str = parameter(
        "Rotary positions of draft trees: 'correct', 'reference' as published, or empty for what "
        'the drafter says it was made for',
        default='',
        choices=('', *POSITION_MODES),
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
    draft_plan: str = parameter(
        'A draft plan to keep to, as the statistics show the one in force: the same drafts on '
        'every day and machine; empty: draft_top_k says',
        default='',
    )
    decoding_mode: str = parameter(
        'Token by token; speculatively with the same result; speculatively, taking draft tokens '
        "near the model's choice; 'auto': relaxed where there is a drafter, else autoregressive",
        default=AUTO,
        choices=(AUTO, *MODES),
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
        'The threshold of each action dimension; -1: acceptance_threshold, and 0 for the gripper',
        default=(-1, -1, -1, -1, -1, -1, -1),
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

    def resolved(self: Self, *, has_drafter: bool) -> Self:
        """Return these settings with the mode that 'auto' stands for.

        Raises ValueError: the mode needs a drafter, and there is none.
        """
        if self.decoding_mode == AUTO:
            mode = 'relaxed' if has_drafter else 'autoregressive'
            return dataclasses.replace(self, decoding_mode=mode)
        if self.decoding_mode != 'autoregressive' and not has_drafter:
            raise ValueError(
                f'decoding_mode: {self.decoding_mode!r} needs a drafter, and none is loaded: '
                "there is none in the checkpoint's folder `drafter`, and the parameter drafter "
                "names no other; choose 'autoregressive'"
            )
        return self

    @property
    def decoding(self) -> Decoding:
        """How the next action is to be decoded; only of settings that are `resolved`."""
        own = self.acceptance_by_dimension
        thresholds = thresholds_by_dimension(self.acceptance_threshold, len(own), own=own)
        return Decoding(self.decoding_mode, thresholds, temporal=self.temporal_draft)
