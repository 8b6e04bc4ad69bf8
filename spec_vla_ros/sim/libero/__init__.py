# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The benchmark LIBERO (arXiv 2306.03310) as an `Environment`, and a scripted expert for it.

LIBERO itself is installed by `make libero`, and imported only when it is needed.
"""
