# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What users' own recordings hold. ROS need not be installed."""
