# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How commands end: with a status and one line, whatever stopped them."""

import pytest

from spec_vla_ros import cli
from spec_vla_ros.commands import inspect


@pytest.mark.parametrize(
    ('stopped_by', 'status', 'line'),
    [
        (KeyboardInterrupt(), 130, 'spec-vla inspect: interrupted'),
        (ValueError('no such thing'), 2, 'spec-vla inspect: error: no such thing'),
        (FileNotFoundError('gone'), 2, 'spec-vla inspect: error: gone'),
    ],
)
def test_what_stops_a_command_is_said_in_a_line(stopped_by, status, line, monkeypatch, capsys):
    def stop(args):
        raise stopped_by

    monkeypatch.setattr(inspect, 'run', stop)
    assert cli.main(['inspect', 'folder']) == status
    assert capsys.readouterr().err == line + '\n'


def test_a_command_that_does_not_exist(capsys):
    with pytest.raises(SystemExit, match='2'):
        cli.main(['dance'])
    assert 'invalid choice' in capsys.readouterr().err
