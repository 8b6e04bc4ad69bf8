# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Parameter files and the documentation's tables say what the settings say."""

import dataclasses
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from spec_vla_ros.settings.nodes import LIBERO_POLICY, PolicySettings
from spec_vla_ros.settings.parameter import changed, meaning_of
from spec_vla_ros.settings.tables import (
    NODES,
    generated,
    libero_policy_file,
    markdown_table,
    parameter_file,
    ros_type,
)

ROOT = Path(__file__).parents[2]
FIELDS = {node: dataclasses.fields(kind) for node, kind in NODES.items()}


def check(*arguments):
    command = [sys.executable, '-m', 'spec_vla_ros.settings', *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def tree(tmp_path):
    """A copy of what is generated."""
    for path in generated(ROOT):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return tmp_path


def test_the_files_of_this_tree_are_those_of_the_settings():
    done = check('--check')
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    'name', [*(f'config/{node}.yaml' for node in NODES), 'config/libero_policy.yaml', 'docs']
)
def test_a_difference_is_an_error_that_names_the_file_and_can_be_undone(tree, name):
    file = next((tree / name).rglob('*.md')) if name == 'docs' else tree / name
    good = file.read_text()
    file.write_text(re.sub(r'\b30\.0\b|\b0\.1\b|\b0\.125\b|\b0\.09\b', '31.0', good))
    assert file.read_text() != good
    refused = check('--check', '--root', tree)
    assert refused.returncode == 1
    assert str(file.relative_to(tree)) in refused.stderr
    assert file.read_text() != good  # a check writes nothing
    assert check('--root', tree).stdout.split() == [str(file.relative_to(tree))]
    assert file.read_text() == good
    assert check('--check', '--root', tree).returncode == 0


def test_a_file_that_is_missing_is_an_error(tree):
    (tree / 'config' / 'sim_robot.yaml').unlink()
    assert 'config/sim_robot.yaml' in check('--check', '--root', tree).stderr


def test_what_is_written_around_a_table_stays(tree):
    (document,) = (tree / 'docs').rglob('*.md')
    document.write_text('before\n' + document.read_text() + 'after\n')
    assert check('--check', '--root', tree).returncode == 0


def test_a_table_that_stands_nowhere_is_an_error(tree):
    (document,) = (tree / 'docs').rglob('*.md')
    document.write_text(document.read_text().replace('params: sim_robot', 'sim_robot'))
    assert 'parameter table of sim_robot' in check('--check', '--root', tree).stderr
    document.write_text('<!-- params: robot -->\n<!-- params: end -->\n')
    assert 'no node is named robot' in check('--check', '--root', tree).stderr


@pytest.mark.parametrize('node', NODES)
def test_a_parameter_file_is_yaml_with_every_default(node):
    expected = dataclasses.asdict(NODES[node]())
    for key, value in expected.items():
        expected[key] = list(value) if isinstance(value, tuple) else value
    text = parameter_file(node)
    assert yaml.safe_load(text) == {'/**': {'ros__parameters': expected}}
    assert max(map(len, text.splitlines())) <= 99


def test_the_file_for_liberos_policy_holds_what_differs_and_is_valid():
    given = yaml.safe_load(libero_policy_file())['/**']['ros__parameters']
    assert given.pop('use_sim_time') is True
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    assert values == LIBERO_POLICY
    start = PolicySettings()
    assert all(getattr(start, name) != value for name, value in values.items())
    settings = changed(start, values, running=False)
    fastest = np.array([0.05, 0.05, 0.05, 0.5, 0.5, 0.5]) / settings.step_duration
    assert (settings.motion_limits.velocity >= fastest).all()


@pytest.mark.parametrize('node', NODES)
def test_meaning_unit_and_range_stand_above_each_parameter(node):
    entries = parameter_file(node).partition('ros__parameters:\n')[2].split('\n\n')
    for field, entry in zip(FIELDS[node], entries, strict=True):
        meaning = meaning_of(field)
        *comment, assignment = entry.strip().splitlines()
        words = ' '.join(line.strip().removeprefix('# ') for line in comment)
        assert assignment.strip().startswith(f'{field.name}: ')
        assert words.startswith(meaning.description)
        assert ros_type(field.default) in words
        assert not meaning.unit or f'[{meaning.unit}]' in words
        assert all(f"'{choice}'" in words for choice in meaning.choices if choice)
        assert words.endswith('; live' if meaning.live else '; at start')
        if meaning.low is not None:
            low, high = re.search(r'(-?[\d.]+) \.\. (-?[\d.]+)', words).groups()
            assert float(low) == meaning.low
            assert float(high) == pytest.approx(meaning.high, rel=1e-5)


@pytest.mark.parametrize('node', NODES)
def test_the_documentation_has_a_row_for_each(node):
    rows = re.findall(r'^\| `(\w+)` \|(.*)\|$', markdown_table(node), flags=re.MULTILINE)
    assert [name for name, _ in rows] == [field.name for field in FIELDS[node]]
    for field, (_, rest) in zip(FIELDS[node], rows, strict=True):
        meaning = meaning_of(field)
        kind, unit, _, _, change, words = (cell.strip() for cell in rest.split('|'))
        assert (kind, words) == (ros_type(field.default), meaning.description)
        assert unit == (meaning.unit or '-')
        assert change == ('live' if meaning.live else 'at start')


@pytest.mark.parametrize(
    ('node', 'row'),
    [
        ('spec_vla', '| `image_timeout` | double | s | `0.5` | 0.05 .. 10 | live | Halt when'),
        ('spec_vla', "| `stored_as` | string | - | `''` | empty, `int8`, `int4` | at start |"),
        ('spec_vla', '| `dry_run` | boolean | - | `false` | any | live |'),
        ('spec_vla', '| `workspace_min` | double[3] | m | `[0.0, 0.0, 0.0]` | -10 .. 10 | live |'),
        ('spec_vla', '| `acceptance_by_dimension` | integer[7] | bins | `[-1, -1, -1, -1, -1,'),
        ('sim_robot', '| `seed` | integer | - | `0` | 0 .. 4294967295 | at start |'),
    ],
)
def test_rows(node, row):
    assert row in markdown_table(node)


def test_strings_are_in_quotes_and_booleans_are_not():
    """Without them YAML takes off for false, which is no string."""
    assert "dtype: 'auto'" in parameter_file('spec_vla')
    assert 'cuda_graphs: true' in parameter_file('spec_vla')
