# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Every promise in the safety page names a test that exists; every fault injection is named."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = re.findall(
    r'^\| (.+) \| (.+) \| `(test/\S+\.py)::(\w+)` \|$',
    (ROOT / 'docs' / 'reference' / 'safety.md').read_text(),
    flags=re.MULTILINE,
)


def names_in(path):
    tree = ast.parse((ROOT / path).read_text())
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith('test_')
    }


def test_the_table_is_read():
    lines = (ROOT / 'docs' / 'reference' / 'safety.md').read_text().splitlines()
    assert len(ROWS) == sum(line.startswith('| ') for line in lines) - 1  # the header
    assert len(ROWS) > 30


@pytest.mark.parametrize(('promise', 'limit', 'path', 'name'), ROWS, ids=lambda value: value[:60])
def test_the_test_of_a_promise_exists(promise, limit, path, name):
    assert promise[0].isupper() or promise.startswith(('*', '`'))
    assert name in names_in(path)


def test_every_fault_injection_is_named():
    named = {(path, name) for _, _, path, name in ROWS}
    for path in sorted((ROOT / 'test' / 'ros').glob('test_safety_*.py')):
        relative = str(path.relative_to(ROOT))
        assert {(relative, name) for name in names_in(relative)} <= named
