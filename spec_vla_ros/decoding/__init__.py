# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Turning a prefilled prompt into action tokens: autoregressive and speculative decoding."""
