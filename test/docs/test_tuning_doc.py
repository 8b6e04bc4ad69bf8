# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The tuning page names commands, options and parameters that exist, and bins of their size."""

import argparse
import re
from dataclasses import fields
from pathlib import Path

import pytest

from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.commands import record_sim, tune
from spec_vla_ros.models.checkpoint_files import read_config
from spec_vla_ros.settings.nodes import PolicySettings

TEXT = (Path(__file__).parents[2] / 'docs' / 'how-to' / 'tuning.md').read_text()
BLOCKS = '\n'.join(re.findall(r'```bash\n(.*?)```', TEXT, re.DOTALL))


def options(command):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return set(parser._option_string_actions)


def test_the_commands_take_what_is_shown():
    for name, command in (('record-sim', record_sim), ('tune', tune)):
        lines = re.findall(rf'^spec-vla {name} .*$', BLOCKS, re.MULTILINE)
        assert lines
        assert set(re.findall(r'--[\w-]+', ' '.join(lines))) <= options(command)


def test_every_option_of_tune_that_is_named_exists():
    table = TEXT.partition('| option |')[2].partition('\n\n')[0]
    assert set(re.findall(r'`(--[\w-]+)', table)) <= options(tune)


def test_parameters_that_are_set_exist():
    named = set(re.findall(r'ros2 param set /spec_vla (\w+)', TEXT))
    assert len(named) >= 3
    assert named <= {field.name for field in fields(PolicySettings)}


@pytest.mark.parametrize('r', [1, 5, 9, 15])
def test_the_size_of_a_bin(r):
    stats = read_config(TABLETOP).codec().stats
    millimetres, milliradians = (1e3 * r * (stats.q99 - stats.q01)[[0, 3]] / 255).tolist()
    row = next(line for line in TEXT.splitlines() if line.startswith(f'| {r} |'))
    shown = [float(x) for x in re.findall(r'([\d.]+) m', row)]
    assert shown == pytest.approx([millimetres, milliradians], rel=0.07)
