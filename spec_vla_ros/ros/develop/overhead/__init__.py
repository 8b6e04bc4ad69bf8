# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What ROS and the node add to the model's time: `python -m spec_vla_ros.ros.develop.overhead`."""
