# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How an inference can fail, and how that is put into words."""

from __future__ import annotations

_LONGEST_TEXT = 2000  # characters; some errors hold whole state dicts


class InferenceFailedError(RuntimeError):
    """The policy raised in its process; the text holds the type and the text of what it raised."""


class ProcessEndedError(RuntimeError):
    """The inference process ended, or has been ended; the text says how."""


def describe(error: Exception) -> str:
    """Return an error's type and text, of bounded length."""
    told = isinstance(error, InferenceFailedError | ProcessEndedError)
    return (str(error) if told else f'{type(error).__name__}: {error}')[:_LONGEST_TEXT]
