# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Evaluates policies on recordings, in open loop, for `spec-vla tune` and `spec-vla compare`."""
