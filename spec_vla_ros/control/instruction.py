# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Which instructions are not taken."""

from __future__ import annotations

import unicodedata

MAX_INSTRUCTION = 500
"""Characters; beyond it an instruction is a mistake, not a wish."""

_REPLACEMENT = '\N{REPLACEMENT CHARACTER}'  # what ROS makes of bytes that are no UTF-8


def instruction_fault(text: str) -> str | None:
    """Return why an instruction is refused, or None when it is taken."""
    if len(text) > MAX_INSTRUCTION:
        return f'the instruction has {len(text)} characters, at most {MAX_INSTRUCTION} are read'
    if _REPLACEMENT in text:
        return 'the instruction is not valid UTF-8'
    if any(unicodedata.category(character) == 'Cc' for character in text):
        return 'the instruction holds control characters'
    return None
