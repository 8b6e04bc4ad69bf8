# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The benchmark LIBERO (arXiv 2306.03310) as an environment of ours, and a scripted expert for it.

LIBERO itself comes with `make libero` and is imported where it is needed only.
"""
