# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How a node is started: launch files, parameter files, the command line, and mistakes in them."""
