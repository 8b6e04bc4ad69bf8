# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Networks whose weights are laid out anew, or stored in fewer bits, for fast inference."""
