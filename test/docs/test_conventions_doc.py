# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The page about conventions names every field, and what it shows is taken."""

import argparse
import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from spec_vla_ros.cli import COMMANDS
from spec_vla_ros.models.recipes import PLAIN, RECIPES, Recipe, read_recipe
from spec_vla_ros.settings.nodes import PolicySettings

PAGE = (Path(__file__).parents[2] / 'docs' / 'how-to' / 'conventions.md').read_text()
ROWS = [[c.strip() for c in line.split('|')[1:-1]] for line in PAGE.splitlines() if '|' in line]


def row_of(name):
    (row,) = [row for row in ROWS if row[0] == f'`{name}`' and len(row) == 5]
    return row


@pytest.mark.parametrize('field', dataclasses.fields(Recipe), ids=lambda f: f.name)
def test_every_field_is_in_the_table(field):
    _, _, plain, _, parameter = row_of(field.name)
    if field.name not in ('name', 'resampling', 'unnorm_key'):
        said = yaml.safe_load(f'[{plain}]')
        default = getattr(PLAIN, field.name)
        assert said == list(default if isinstance(default, tuple) else (default,))
    parameters = {f.name for f in dataclasses.fields(PolicySettings)}
    assert (field.name in parameters) == (parameter == f'`{field.name}`')


def test_every_recipe_is_in_the_table():
    said = {row[0].split(',')[0].strip('`') for row in ROWS}
    assert said >= RECIPES.keys()


def test_the_example_of_a_file_is_one(tmp_path):
    text = re.search(r'```yaml\n(.*?)```', PAGE, re.DOTALL)[1]
    (tmp_path / 'mine.yaml').write_text(text)
    assert read_recipe(tmp_path / 'mine.yaml') == Recipe(
        name='mine',
        image_rotation=180,
        image_crop=0.9,
        gripper_range=(-1.0, 1.0),
        gripper_inverted=True,
    )


@pytest.mark.parametrize(
    'command', ['inspect', 'predict', 'evaluate', 'tune', 'compare', 'drafter-data']
)
def test_the_commands_that_are_named_take_a_recipe(command):
    from importlib import import_module

    parser = argparse.ArgumentParser()
    import_module(COMMANDS[command][0]).add_arguments(parser)
    options = {o for action in parser._actions for o in action.option_strings}
    assert {'--recipe', '--set'} <= options
    assert f'`{command}`' in PAGE
    if command == 'compare':
        for option in set(re.findall(r'`(--[a-z-]+)', PAGE)):
            assert option in options, option


def test_the_recipe_of_the_python_example():
    code = re.search(r"read_recipe\('libero', image_crop=1\.0\)", PAGE)[0]
    assert eval(code, {'read_recipe': read_recipe}).image_crop == 1.0
