# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Making the small policy: data from the simulator, vision, language model. No ROS."""
