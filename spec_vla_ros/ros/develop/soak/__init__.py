# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Soak test: runs real nodes for hours, and injects faults (`make soak`)."""
