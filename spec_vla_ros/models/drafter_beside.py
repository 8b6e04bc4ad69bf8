# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Which drafter a checkpoint has: the one that was asked for, or the one inside its folder."""

from __future__ import annotations

from pathlib import Path

from spec_vla_ros.models.checkpoint import OpenVLACheckpoint
from spec_vla_ros.models.drafter import Drafter, load_drafter

DRAFTER_FOLDER = 'drafter'


def load_drafter_beside(
    checkpoint: OpenVLACheckpoint,
    folder: str | Path | None = None,
    *,
    position_mode: str | None = None,
) -> Drafter | None:
    """Load the drafter of a checkpoint: from a folder, or the one named `drafter` inside its own.

    Args:
        checkpoint: the loaded target.
        folder: the drafter's; None looks inside the checkpoint's, and gives None if none is there.
        position_mode: see `load_drafter`.

    Raises:
        CheckpointError: it cannot be used; the message says why.
    """
    if folder is None:
        folder = checkpoint.folder / DRAFTER_FOLDER
        if not folder.is_dir():
            return None
    model = checkpoint.model
    return load_drafter(
        folder,
        model.language_model,
        num_patches=model.vision_backbone.num_patches,
        position_mode=position_mode,
    )
