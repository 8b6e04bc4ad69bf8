# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`make demo`: the policy node drives a simulated robot in another process, over DDS."""
