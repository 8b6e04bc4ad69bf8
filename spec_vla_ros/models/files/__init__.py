# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The files in a checkpoint's folder: read strictly, or refused with the reason and the way on."""
