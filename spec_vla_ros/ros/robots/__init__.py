# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Simulated robots as nodes, with the topics of a real one: the tabletop, and LIBERO's Panda."""
