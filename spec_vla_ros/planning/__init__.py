# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Plans draft trees: by what drafts cost on this device and how often they are accepted."""
