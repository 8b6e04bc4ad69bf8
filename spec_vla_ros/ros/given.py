# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What is remembered of instructions for as long as the node lives."""

from __future__ import annotations

from dataclasses import dataclass, field

from spec_vla_ros.control.repeats import RepeatWatch
from spec_vla_ros.ros.hearing import Messages, nothing_heard


@dataclass(frozen=True, slots=True)
class Given:
    """The instructions that were given, so that configuring anew brings none of them back.

    A latched publisher's last message goes to every new subscription, whatever became of it.
    """

    messages: Messages = field(default_factory=nothing_heard)
    repeats: RepeatWatch = field(default_factory=RepeatWatch)
