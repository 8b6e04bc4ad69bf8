# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How commands end: with a status and one line, whatever stopped them."""

import os
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool

import pytest
import torch
from toy_checkpoint import write_tiny

from spec_vla_ros import cli
from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.commands import inspect, libero_expert

NO_MEMORY = (
    'spec-vla inspect: error: there is not enough memory: end what else runs on the device, or '
    'choose another --device, or a --dtype of 16 bits'
)
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


OUT_OF_MEMORY = MemoryError('none')
KILLED = BrokenProcessPool('a process was terminated abruptly')


@pytest.mark.parametrize(
    ('error', 'options', 'advice'),
    [
        (OUT_OF_MEMORY, [], 'end what else runs on the device (none)'),
        (OUT_OF_MEMORY, ['--processes', '2'], 'or give fewer --processes (none)'),
        (KILLED, [], 'goes on from what is written: end what else runs on the device\n'),
        (KILLED, ['--processes', '2'], 'runs on the device, or give fewer --processes\n'),
    ],
)
def test_where_memory_ran_out_only_options_of_the_command_are_named(
    error, options, advice, monkeypatch, capsys
):
    def stop(args):
        raise error

    monkeypatch.setattr(libero_expert, 'run', stop)
    assert cli.main(['libero-expert', *options]) == 2
    said = capsys.readouterr().err
    assert said.endswith(f'{advice}\n' if error is OUT_OF_MEMORY else advice)
    assert '--device' not in said
    assert '--dtype' not in said


def test_an_interrupt_while_a_command_is_imported_is_one_line_too(monkeypatch, capsys):
    def interrupted(module):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, 'import_module', interrupted)
    assert cli.main(['inspect', 'folder']) == 130
    assert capsys.readouterr().err == 'spec-vla inspect: interrupted\n'


def test_a_command_that_does_not_exist(capsys):
    with pytest.raises(SystemExit, match='2'):
        cli.main(['dance'])
    assert 'invalid choice' in capsys.readouterr().err
