# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Hours under load with faults: `python -m spec_vla_ros.ros.develop.soak --minutes 60`."""
