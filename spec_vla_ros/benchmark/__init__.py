# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Measures the time of an action, compared with transformers and with the hardware's limit."""
