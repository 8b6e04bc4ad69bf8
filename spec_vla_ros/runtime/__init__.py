# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What keeps a policy running beside a robot: numpy and the standard library, no ROS, no torch."""
