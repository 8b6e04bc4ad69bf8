# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Decoding on CUDA devices by CUDA graphs, on top of the algorithm, which knows nothing of it."""
