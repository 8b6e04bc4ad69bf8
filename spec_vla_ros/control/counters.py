# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What has happened so far, in numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counters:
    """What has happened since the loop was made, see PolicyStatus.

    The clamps count control ticks at which a limit took effect.
    """

    images_received: int = 0
    actions_published: int = 0
    actions_rejected: int = 0
    results_discarded: int = 0
    inference_errors: int = 0
    inference_timeouts: int = 0
    halts: int = 0
    worker_restarts: int = 0
    velocity_clamps: int = 0
    acceleration_clamps: int = 0
    workspace_clamps: int = 0
    gripper_clamps: int = 0
