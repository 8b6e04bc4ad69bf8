# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Measurements of running nodes, for developing: nothing that runs on a robot imports them."""
