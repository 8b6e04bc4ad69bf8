# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The library's example runs as it is, and is as short as it says."""

import ast
import re
import runpy
import sys
from pathlib import Path

from PIL import Image

EXAMPLE = Path(__file__).parents[2] / 'examples' / 'speculative_decoding.py'


def run(monkeypatch, capsys, *arguments):
    """Return the passes and the numbers that each way of decoding prints."""
    monkeypatch.setattr(sys, 'argv', [str(EXAMPLE), *arguments])
    runpy.run_path(str(EXAMPLE), run_name='__main__')
    lines = re.findall(r'(\w+): (\d) passes, (\[[^]]*\])', capsys.readouterr().out)
    return {name: (int(passes), values) for name, passes, values in lines}


def test_it_needs_fewer_passes(monkeypatch, capsys, tmp_path):
    Image.new('RGB', (64, 48), (90, 80, 70)).save(tmp_path / 'photo.png')
    found = run(monkeypatch, capsys, '--image', str(tmp_path / 'photo.png'))
    assert found['autoregressive'][0] == 7
    assert 1 < found['speculative'][0] < 7


def test_threshold_zero_is_exact(monkeypatch, capsys):
    found = run(monkeypatch, capsys, '--threshold', '0')
    assert found['speculative'][1] == found['autoregressive'][1]


def test_its_statements_are_twenty_at_most():
    """Imports and the command line aside."""
    body = ast.parse(EXAMPLE.read_text()).body
    start = next(i for i, s in enumerate(body) if 'checkpoint =' in ast.unparse(s))
    assert sum(isinstance(s, ast.stmt) for part in body[start:] for s in ast.walk(part)) <= 20
