# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Parameters of the policy node that choose the model and how it decodes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from spec_vla_ros.settings.parameter import parameter
from spec_vla_ros.types import (
    AUTOREGRESSIVE,
    MODES,
    MOST_METRES,
    MOST_RADIANS,
    POSITION_MODES,
    PRECISIONS,
    RELAXED,
    STORED_AS,
    Decoding,
    thresholds_by_dimension,
)

AUTO = 'auto'
ANY = 255
"""The most bins that a token can be off, which is no limit."""
MOST = 64
"""The largest threshold, a quarter of an action's range. With a larger one, the executed action
would be the drafter's."""

Self = TypeVar('Self', bound='ModelSettings')


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """The model, where it runs, and how it decodes."""

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
        'through torchao, which must be installed: less memory, and slower',
        default='',
        choices=('', *STORED_AS),
    )
    cuda_graphs: bool = parameter(
        'Whether passes are recorded as CUDA graphs, which makes them twice as fast', default=True
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
        only={'draft_plan': ('',)},
    )
    draft_depth: int = parameter(
        'Levels of the draft tree, where draft_top_k is not 0',
        default=6,
        low=1,
        high=32,
        only={'draft_top_k': range(1, 33)},
    )
    draft_nodes: int = parameter(
        'Draft tokens in the tree, where draft_top_k is not 0',
        default=49,
        low=1,
        high=256,
        only={'draft_top_k': range(1, 33)},
    )
    draft_plan: str = parameter(
        'A fixed draft plan, written as in draft_plan of the statistics, for the same drafts on '
        'every machine and day; empty: draft_top_k decides',
        default='',
    )
    decoding_mode: str = parameter(
        "'autoregressive': token by token; 'strict': speculatively with the same result, except "
        "for rounding; 'relaxed': speculatively, also accepting draft tokens near the model's "
        "choice; 'auto': relaxed if there is a drafter, else autoregressive",
        default=AUTO,
        choices=(AUTO, *MODES),
        live=True,
    )
    acceptance_threshold: int = parameter(
        "How far from the model's choice a draft token may be in relaxed mode; `spec-vla tune` "
        'chooses it for a policy',
        default=15,
        unit='bins',
        low=0,
        high=MOST,
        live=True,
        only={'decoding_mode': (RELAXED,)},
    )
    acceptance_tolerance_translation: float = parameter(
        'How far a draft token may be along each of x, y and z, in place of acceptance_threshold '
        'there; rounded down to bins by the norm stats; negative: off, acceptance_threshold holds',
        default=-1.0,
        unit='m',
        low=-1.0,
        high=MOST_METRES,
        live=True,
        only={'decoding_mode': (RELAXED,)},
    )
    acceptance_tolerance_rotation: float = parameter(
        'How far a draft token may be about each of these axes; otherwise as '
        'acceptance_tolerance_translation',
        default=-1.0,
        unit='rad',
        low=-1.0,
        high=MOST_RADIANS,
        live=True,
        only={'decoding_mode': (RELAXED,)},
    )
    acceptance_by_dimension: tuple[int, ...] = parameter(
        'The threshold of each action dimension; -1: acceptance_threshold, and 0 for the gripper; '
        'where a tolerance is set, too, the stricter one holds',
        default=(-1, -1, -1, -1, -1, -1, -1),
        unit='bins',
        low=-1,
        high=MOST,
        live=True,
        only={'decoding_mode': (RELAXED,)},
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
            mode = RELAXED if has_drafter else AUTOREGRESSIVE
            return dataclasses.replace(self, decoding_mode=mode)
        if self.decoding_mode != AUTOREGRESSIVE and not has_drafter:
            raise ValueError(
                f'decoding_mode: {self.decoding_mode!r} needs a drafter, and none is loaded: '
                "there is none in the checkpoint's folder `drafter`, and the parameter drafter "
                "names no other; choose 'autoregressive'"
            )
        return self

    @cached_property
    def decoding(self) -> Decoding:
        """How the next action is to be decoded; only for settings that are `resolved`."""
        tolerances = self._tolerances
        return Decoding(
            self.decoding_mode,
            self._thresholds,
            temporal=self.temporal_draft,
            acceptance_tolerance_translation=tolerances[0],
            acceptance_tolerance_rotation=tolerances[3],
        )

    @property
    def acceptance(self) -> dict[str, str]:
        """The acceptance limits in force, as text by their name; - where there is none."""
        relaxed = self.decoding_mode == RELAXED
        bins = (None if r == ANY else r for r in self._thresholds if relaxed)
        return {
            'acceptance thresholds [bins]': _listed(bins),
            'acceptance tolerances [m, rad]': _listed(t for t in self._tolerances if relaxed),
        }

    @property
    def _thresholds(self) -> tuple[int, ...]:
        """The threshold of each dimension in bins; `ANY` where a tolerance replaces it."""
        own = self.acceptance_by_dimension
        bins = thresholds_by_dimension(self.acceptance_threshold, len(own))
        said = zip(bins, self._tolerances, strict=True)
        general = [r if tolerance is None else ANY for r, tolerance in said]
        return thresholds_by_dimension(general, len(own), own=own)

    @property
    def _tolerances(self) -> tuple[float | None, ...]:
        """The tolerance of each dimension; None where there is none."""
        along, about = self.acceptance_tolerance_translation, self.acceptance_tolerance_rotation
        return (*(None if t < 0 else t for t in (along,) * 3 + (about,) * 3), None)


def _listed(values: Iterable[float | None]) -> str:
    """Return numbers in a row, with - for None; a single - if there are no numbers."""
    words = ['-' if value is None else f'{value:g}' for value in values]
    return ' '.join(words) if set(words) - {'-'} else '-'
