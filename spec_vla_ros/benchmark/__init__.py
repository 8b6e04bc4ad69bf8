# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What an action costs: this engine against what is run otherwise, and against the hardware."""
