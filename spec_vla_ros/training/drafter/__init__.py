# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Trains drafters, for `spec-vla drafter-data` and `spec-vla train-drafter`."""
