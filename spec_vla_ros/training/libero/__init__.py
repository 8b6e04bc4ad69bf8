# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Trains the small policies for LIBERO's suites."""
