# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The networks: OpenVLA and its parts, its drafter, checkpoints, images and prompts, recipes."""
