# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""One need not walk further in the source than scripts/house.py allows."""

import json
from pathlib import Path

from processes import run_python

ROOT = Path(__file__).parents[1]
PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
import house
print(json.dumps([house.figures(), sorted(house.files_of_an_image())]))
"""


def test_the_walks_are_as_short_as_they_should_be():
    """In a process of its own, which watches every call."""
    done = run_python('-c', PROGRAM, str(ROOT / 'scripts'))
    figures, image = json.loads(done.stdout.splitlines()[-1])
    assert figures.keys() >= {'lines of speculative_generate', 'files of decoding'}
    too_far = {name: pair for name, pair in figures.items() if pair[1] and pair[0] > pair[1]}
    assert not too_far
    assert {'decoding/speculative.py', 'control/loop.py', 'policy.py', 'ros/inputs.py'} <= {*image}
    assert all((ROOT / 'spec_vla_ros' / name).exists() for name in image)
