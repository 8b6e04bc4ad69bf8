# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Every program that starts nodes of its own stops them when it is interrupted."""

import contextlib
import os
import pty
import re
import signal

import psutil
import pytest
from processes import assert_runs, command_line, gone, start_python, wait_until_active
from waiting import PATIENCE, wait_for

pytestmark = pytest.mark.dds

ENTER_SCREEN, LEAVE_SCREEN = b'\x1b[?1049h', b'\x1b[?1049l'  # the alternate one of xterm

# The demo's own tests say more of the demo.
PROGRAMS = [('demo.live_tuning', True), ('develop.overhead', False), ('develop.soak', False)]
MODULES = re.compile(r'spec_vla_ros\.ros\.\w+')


@pytest.mark.slow
@pytest.mark.parametrize(('program', 'begun'), PROGRAMS)
def test_an_interrupt_stops_everything(program, begun, tmp_path):
    """When the robot moves, and while the nodes start."""
    module = f'spec_vla_ros.ros.{program}'
    process = start_python('-m', module, '--results', tmp_path)

    def nodes():
        assert_runs(process)
        children = psutil.Process(process.pid).children(recursive=True)
        return [c for c in children if MODULES.search(' '.join(command_line(c)))]

    wait_for(lambda: len(nodes()) >= 2, 'two nodes to start')
    if begun:
        wait_until_active(process, tmp_path)
    started = nodes()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, output
    assert 'everything is stopped' in output
    assert 'Traceback' not in output
    assert all(map(gone, started))


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
