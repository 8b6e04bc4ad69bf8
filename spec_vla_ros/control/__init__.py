# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What a tick of the policy node decides; numpy, no ROS, no torch."""
