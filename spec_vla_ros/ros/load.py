# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Loads the policy that the policy node's parameters describe."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.inference.process_policy import ProcessPolicy
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.types import DIMENSIONS, Policy

if TYPE_CHECKING:
    from spec_vla_ros.decoding.draft_tree import TreeShape
    from spec_vla_ros.planning.plan import TreePlan


def make_policy(
    settings: PolicySettings, *, interrupted: Callable[[], bool] = lambda: False
) -> Policy:
    """Load the policy where `inference_worker` says: in this process or in one of its own.

    interrupted: asked repeatedly while another process loads the policy; if it returns True,
        loading is given up.
    """
    if settings.inference_worker == 'process':
        factory = f'{__name__}:{policy_from_settings.__name__}'
        return ProcessPolicy(factory, settings, interrupted=interrupted)
    return policy_from_settings(settings)


def policy_from_settings(settings: PolicySettings) -> Policy:
    """Check that the checkpoint drives an end effector, load it, and warm it up.

    Raises ValueError, and whatever `spec_vla_ros.policy.load_policy` raises, if it cannot be used.
    """
    try:
        import torch  # here, because it takes seconds, which the node's own process can save

        from spec_vla_ros import policy
    except ModuleNotFoundError as missing:
        raise ValueError(
            f'{missing.name} is not installed for {sys.executable}: activate the virtual '
            'environment that has it in this terminal and launch again, or install '
            'requirements/torch.txt and requirements/core.txt there'
        ) from missing
    from spec_vla_ros.models.checkpoint_files import codec_of, read_config
    from spec_vla_ros.models.drafter_files import drafter_beside
    from spec_vla_ros.models.files.folders import folder_path
    from spec_vla_ros.models.recipe_checks import (
        refuse_other_units,
        refuse_restless,
        require_choice,
    )
    from spec_vla_ros.models.recipes import PLAIN, fields_said, read_recipe
    from spec_vla_ros.policy_config import PolicyConfig

    # Too many threads would leave no core to the executor that publishes the commands.
    torch.set_num_threads(settings.torch_threads)
    recipe = read_recipe(settings.observation_recipe or PLAIN, **settings.recipe_changes)
    config = PolicyConfig(
        unnorm_key=settings.unnorm_key or None,
        recipe=recipe,
        device=settings.device,
        dtype=settings.dtype,
        stored_as=settings.stored_as or None,
        cuda_graphs=settings.cuda_graphs,
        drafter=settings.drafter or None,
        draft_position_mode=settings.draft_position_mode or None,
        tree=_tree(settings),
    )
    folder = folder_path(settings.checkpoint or TABLETOP)
    # Doubts about the recipe are errors: a warning would not keep the arm from moving too far.
    checkpoint, asked, changes = read_config(folder), config.unnorm_key, settings.recipe_changes
    chosen = settings.observation_recipe  # single fields leave the others as they are
    said = {*changes, *fields_said(chosen)} if chosen else None
    require_choice(checkpoint.keys_unasked, asked, option='observation_recipe:=', said=said)
    stats = codec_of(folder, checkpoint, recipe, asked).stats
    if stats.dimensions != DIMENSIONS:
        raise ValueError(
            f'unnorm_key {stats.key!r} has {stats.dimensions} dimensions; this node drives an end '
            f'effector with {DIMENSIONS}: position, rotation, gripper'
        )
    refuse_restless(stats)
    if 'action_scale' not in (said or changes):
        refuse_other_units(recipe, stats)
    settings.resolved(has_drafter=bool(config.drafter or drafter_beside(folder)))
    loaded = policy.load_policy(folder, config=config)
    loaded.warm_up(settings.resolved(has_drafter=loaded.info.has_drafter).decoding)
    return loaded


def _tree(settings: PolicySettings) -> TreeShape | TreePlan | None:
    """Return the draft tree or plan that the parameters fix; None to choose it by measurements.

    Raises:
        ValueError: `draft_plan` cannot be read as a plan.
    """
    from spec_vla_ros.decoding.draft_tree import TreeShape
    from spec_vla_ros.planning.plan import TreePlan

    if settings.draft_plan:
        return TreePlan.from_text(settings.draft_plan)
    if settings.draft_top_k == 0:
        return None
    return TreeShape(settings.draft_top_k, settings.draft_depth, settings.draft_nodes)
