# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Every program that starts nodes of its own stops them when it is interrupted."""

import contextlib
import os
import pty
import signal

import psutil
import pytest
from processes import command_line, gone, start_python, wait_until_active
from waiting import PATIENCE

pytestmark = pytest.mark.dds

ENTER_SCREEN, LEAVE_SCREEN = b'\x1b[?1049h', b'\x1b[?1049l'  # the alternate one of xterm

# The demo's own tests say more of the demo.
PROGRAMS = ['demo.live_tuning', 'develop.overhead', 'develop.soak']


@pytest.mark.slow
@pytest.mark.parametrize('program', PROGRAMS)
def test_an_interrupt_stops_everything(program, tmp_path):
    module = f'spec_vla_ros.ros.{program}'
    process = start_python('-m', module, '--results', tmp_path)
    wait_until_active(process, tmp_path)
    nodes = psutil.Process(process.pid).children(recursive=True)
    assert len(nodes) >= 2, list(map(command_line, nodes))
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, output
    assert 'everything is stopped' in output
    assert 'Traceback' not in output
    assert all(map(gone, nodes))


def test_the_dashboard_gives_the_terminal_back(world):
    ours, theirs = pty.openpty()
    command = ('-m', 'spec_vla_ros.cli', 'top')
    process = start_python(
        *command, output=theirs, TERM='xterm', ROS_DOMAIN_ID=str(world.domain_id)
    )
    os.close(theirs)
    drawn = b''
    while b'no node has been heard' not in drawn:
        drawn += os.read(ours, 65536)
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(OSError):  # its side of the terminal is closed
        while True:
            drawn += os.read(ours, 65536)
    assert process.wait(PATIENCE) == 0
    assert drawn.rindex(LEAVE_SCREEN) > drawn.rindex(ENTER_SCREEN)
    assert b'Traceback' not in drawn
    os.close(ours)
