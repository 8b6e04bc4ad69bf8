# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Checkpoints that come with the package, in OpenVLA's layout on disk."""

from pathlib import Path

TABLETOP = Path(__file__).parent / 'tabletop'
"""The small policy for the simulated tabletop."""


def libero_checkpoint(suite: str) -> Path:
    """Return the folder of the policy that is shipped for a suite of LIBERO.

    Raises:
        ValueError: none is shipped.
    """
    folder = Path(__file__).parent / suite
    if not (folder / 'config.json').is_file():
        raise ValueError(
            f'no policy for {suite} is shipped (there is no {folder}): name the folder of a '
            'checkpoint, such as a fine-tune of OpenVLA for this suite'
        )
    return folder
