# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How a device decodes. The algorithm's files know nothing of devices; this builds on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spec_vla_ros.decoding.generate import Decoded, autoregressive_generate, call_step
from spec_vla_ros.decoding.speculative import speculative_generate


class Runner:
    """Decodes just as the algorithms are written; `cuda.graph_runner` does it by recordings."""

    def run(self, phase: str, step: Callable[..., Any], *args: Any) -> Any:
        """Run a step, see `generate.Run`."""
        return call_step(phase, step, *args)

    def autoregressive(self, *args: Any, **options: Any) -> Decoded:
        """Do what `autoregressive_generate` does."""
        return autoregressive_generate(*args, **options)

    def speculative(self, *args: Any, **options: Any) -> Decoded:
        """Do what `speculative_generate` does."""
        return speculative_generate(*args, **options)

    def fresh(self) -> Runner:
        """Return another runner of the same kind, which has recorded nothing yet."""
        return Runner()
