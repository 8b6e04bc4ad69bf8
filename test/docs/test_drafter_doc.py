# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The commands in the page about drafters are ones that exist."""

import argparse
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from spec_vla_ros.cli import COMMANDS

DOC = Path(__file__).parents[2] / 'docs' / 'how-to' / 'drafter.md'


def commands():
    blocks = re.findall(r'```bash\n(.*?)```', DOC.read_text(), re.DOTALL)
    lines = '\n'.join(blocks).replace('\\\n', ' ').splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    ours = [w[1:] for w in words if w[:1] == ['spec-vla']]
    launched = [w[w.index('spec_vla_ros.cli') + 1 :] for w in words if 'spec_vla_ros.cli' in w]
    return ours + launched


def test_there_are_commands():
    assert len(commands()) == 8


@pytest.mark.parametrize('words', commands(), ids=' '.join)
def test_the_options_exist(words):
    parser = argparse.ArgumentParser(exit_on_error=False)
    import_module(COMMANDS[words[0]][0]).add_arguments(parser)
    _, unknown = parser.parse_known_args(words[1:])
    assert not unknown
