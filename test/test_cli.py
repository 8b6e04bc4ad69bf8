# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How commands end: with a status and one line, whatever stopped them."""

import os
import subprocess
import sys

import pytest
import torch
from toy_checkpoint import write_tiny

from spec_vla_ros import cli
from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.commands import inspect

NO_MEMORY = f'spec-vla inspect: error: {cli._NO_MEMORY}'
NO_CPU_MEMORY = "DefaultCPUAllocator: can't allocate memory"  # as torch says it


@pytest.mark.parametrize(
    ('stopped_by', 'status', 'line'),
    [
        (KeyboardInterrupt(), 130, 'spec-vla inspect: interrupted'),
        (ValueError('no such thing'), 2, 'spec-vla inspect: error: no such thing'),
        (FileNotFoundError('gone'), 2, 'spec-vla inspect: error: gone'),
        (
            torch.OutOfMemoryError('CUDA out of memory.\nTried'),
            2,
            f'{NO_MEMORY} (CUDA out of memory.)',
        ),
        (MemoryError('none'), 2, f'{NO_MEMORY} (none)'),
        (RuntimeError(NO_CPU_MEMORY), 2, f'{NO_MEMORY} ({NO_CPU_MEMORY})'),
    ],
)
def test_what_stops_a_command_is_said_in_a_line(stopped_by, status, line, monkeypatch, capsys):
    def stop(args):
        raise stopped_by

    monkeypatch.setattr(inspect, 'run', stop)
    assert cli.main(['inspect', 'folder']) == status
    assert capsys.readouterr().err == line + '\n'


@pytest.mark.parametrize('unbuffered', ['', '1'])
def test_a_reader_that_has_seen_enough_is_no_error(tmp_path, monkeypatch, unbuffered):
    """As with `spec-vla ... | head -1`."""
    monkeypatch.setenv('PYTHONUNBUFFERED', unbuffered)
    write_tiny(tmp_path)
    command = [sys.executable, '-m', 'spec_vla_ros.cli', 'inspect', str(tmp_path)]
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, 'wb') as nowhere:
        ended = subprocess.run(
            [*command, '--headers-only'], stdout=nowhere, stderr=subprocess.PIPE, check=False
        )
    assert (ended.returncode, ended.stderr) == (cli.CUT_SHORT, b'')


@pytest.mark.parametrize('unbuffered', ['', '1'])
def test_a_full_disk_is_told(monkeypatch, unbuffered):
    monkeypatch.setenv('PYTHONUNBUFFERED', unbuffered)
    command = [
        sys.executable,
        '-m',
        'spec_vla_ros.cli',
        'inspect',
        str(TABLETOP),
        '--headers-only',
    ]
    with open('/dev/full', 'wb') as full:
        ended = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ended.returncode == 2
    assert ended.stderr == 'spec-vla inspect: error: [Errno 28] No space left on device\n'


def test_what_is_no_fault_of_the_user_keeps_its_traceback(monkeypatch):
    def stop(args):
        raise RuntimeError('a bug')

    monkeypatch.setattr(inspect, 'run', stop)
    with pytest.raises(RuntimeError, match='a bug'):
        cli.main(['inspect', 'folder'])


def test_a_command_that_does_not_exist(capsys):
    with pytest.raises(SystemExit, match='2'):
        cli.main(['dance'])
    assert 'invalid choice' in capsys.readouterr().err
