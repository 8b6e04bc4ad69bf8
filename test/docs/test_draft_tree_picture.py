# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The picture of a draft tree can be drawn again."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def script():
    spec = importlib.util.spec_from_file_location(
        'draw_draft_tree', ROOT / 'scripts' / 'draw_draft_tree.py'
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for their annotations
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_a_draft_of_the_shipped_policy_is_drawn(script, tmp_path):
    found = script.verify_first_draft(seed=script.SEED, steps=script.STEPS, limit=script.LIMIT)
    assert len(found.drafts) == 1 + script.SHAPE.nodes
    assert all(found.accepted(node) and found.reached(node) for node in found.path)
    for node, parent in enumerate(found.parents):
        siblings = [n for n, p in enumerate(found.parents) if p == parent and n not in (0, node)]
        near = [n for n in siblings if abs(found.drafts[n] - found.drafts[node]) <= script.LIMIT]
        assert not node or not near
    script.draw(found, tmp_path / 'tree.png')
    assert (tmp_path / 'tree.png').stat().st_size > 10_000


def test_what_is_behind_a_rejected_node_is_not_reached(script):
    found = script.Verification(
        drafts=[9, 5, 8, 7, 7],
        choices=[6, 7, 0, 0, 0],
        parents=[0, 0, 0, 1, 2],
        depths=[0, 1, 1, 2, 2],
        path=[0, 1, 3],
        limit=1,
    )
    assert [found.accepted(n) for n in (1, 2, 3)] == [True, False, True]
    assert [found.reached(n) for n in (1, 2, 3, 4)] == [True, True, True, False]
