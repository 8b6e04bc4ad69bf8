# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What a policy is loaded with, and what was loaded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from spec_vla_ros.decoding.draft_tree import TreeShape
from spec_vla_ros.models.recipes import PLAIN, Recipe
from spec_vla_ros.planning.plan import TreePlan
from spec_vla_ros.types import POSITION_MODES, PRECISIONS, STORED_AS, check_choice

_NONE = type(None)
_KINDS: tuple[tuple[str, tuple[type, ...], str], ...] = (
    ('unnorm_key', (str, _NONE), 'the name of norm stats, or None where there are only one'),
    ('recipe', (Recipe, str, os.PathLike), "a Recipe, the name of one such as 'plain', or a file"),
    (
        'drafter',
        (str, os.PathLike, _NONE),
        "its folder, or None for the checkpoint's own, which Decoding('autoregressive') leaves "
        'unused',
    ),
    ('tree', (TreeShape, TreePlan, _NONE), 'a TreeShape(top_k, depth, nodes), a TreePlan or None'),
)
"""Field -> what it may be, and that in words; what is wrong would only show in an inference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyConfig:
    """What is fixed when a policy is loaded: its conventions, where it runs, how it drafts.

    unnorm_key: which norm stats to un-normalise with; may be None where there is only one, or only
        one that the recipe is for.
    recipe: what it was trained on: a `Recipe`, the name of one, or a YAML file, see `read_recipe`.
    device: 'auto', 'cpu', 'cuda', 'cuda:1' and so on.
    dtype: 'auto' or one of `PRECISIONS`, see `load_openvla`.
    stored_as: None, or one of `STORED_AS` for the language model's weights, see `PackedLlama`.
    cuda_graphs: whether passes are recorded on CUDA, see `cuda.graph_runner`.
    drafter: the folder of its drafter; None takes the folder `drafter` inside the checkpoint's,
        if there is one.
    draft_position_mode: one of `POSITION_MODES`; None takes what the drafter was made for.
    tree: how large a draft tree may grow; None lets `SpecVlaPolicy.warm_up` choose by measured
        costs.

    Raises:
        ValueError: a value is none of the valid ones; the message lists them.
    """

    unnorm_key: str | None = None
    recipe: Recipe | str | Path = PLAIN
    device: str = 'auto'
    dtype: str = 'auto'
    stored_as: str | None = None
    cuda_graphs: bool = True
    drafter: str | Path | None = None
    draft_position_mode: str | None = None
    tree: TreeShape | TreePlan | None = None

    def __post_init__(self) -> None:
        for name, kinds, wanted in _KINDS:
            value = getattr(self, name)
            if not isinstance(value, kinds):
                raise ValueError(f'{name} {value!r}: give {wanted}')
        check_choice('dtype', self.dtype, ('auto', *PRECISIONS))
        if not isinstance(self.cuda_graphs, bool):
            raise ValueError(f'cuda_graphs {self.cuda_graphs!r}: give True or False')
        if self.stored_as is not None:
            check_choice('stored_as', self.stored_as, STORED_AS)
        if self.draft_position_mode is not None:
            check_choice('draft_position_mode', self.draft_position_mode, POSITION_MODES)
