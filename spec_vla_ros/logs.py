# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Where the package's log goes when a program of ours runs: standard error.

As a library it leaves logging to whoever uses it, as libraries should.
"""

from __future__ import annotations

import logging

_FORMAT = '[%(levelname)s] [%(created).3f] [%(name)s]: %(message)s'  # as the nodes' own log


def log_to_stderr() -> None:
    """Show what the package says from `INFO` on; other packages' warnings as before.

    Called again it changes nothing.
    """
    ours = logging.getLogger(__name__.partition('.')[0])
    if ours.handlers:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(_FORMAT))
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    ours.propagate = False
