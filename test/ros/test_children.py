# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Children are stopped in order, and never outlive their parent."""

import os
import signal
import sys
import textwrap

import pytest
from processes import gone, start_python
from waiting import PATIENCE, wait_for

from spec_vla_ros.ros.children import ChildFailedError, Children

SLEEPER = [sys.executable, '-S', '-c', 'import time; time.sleep(600)']
STUBBORN = [
    sys.executable,
    '-S',
    '-c',
    'import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN);'
    'print("ready", flush=True); time.sleep(600)',
]


def test_stopped_at_the_end_of_the_context(tmp_path):
    with Children() as children:
        pids = [children.start(name, SLEEPER, log=tmp_path / name) for name in ('a', 'b')]
        children.check()
        assert not any(gone(pid) for pid in pids)
    assert all(gone(pid) for pid in pids)


def test_an_ended_child_is_reported_with_its_output(tmp_path):
    command = [sys.executable, '-S', '-c', 'print("the camera is on fire"); raise SystemExit(3)']
    with Children() as children:
        children.start('sim_robot', command, log=tmp_path / 'log')
        with pytest.raises(ChildFailedError, match=r'(?s)sim_robot ended with exit code 3.*fire'):
            wait_for(children.check)


def test_environment_is_added(tmp_path):
    log = tmp_path / 'log'
    command = [sys.executable, '-S', '-c', 'import os; print(os.environ["ROS_DOMAIN_ID"])']
    with Children() as children:
        children.start('a', command, log=log, env={'ROS_DOMAIN_ID': '77'})
        wait_for(lambda: log.read_text() == '77\n')


def test_one_that_ignores_the_interrupt_is_killed(tmp_path):
    log = tmp_path / 'log'
    children = Children()
    children.start('stubborn', STUBBORN, log=log)
    wait_for(lambda: 'ready' in log.read_text())
    assert children.stop(grace=0.2) == {'stubborn': -signal.SIGKILL}


def test_a_killed_parent_leaves_no_orphan(tmp_path):
    script = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from spec_vla_ros.ros.children import Children
        children = Children()
        print(children.start('a', sys.argv[2:], log=Path(sys.argv[1])), flush=True)
        time.sleep(600)
    """)
    parent = start_python('-c', script, tmp_path / 'log', *STUBBORN)
    child = int(parent.stdout.readline())
    try:
        wait_for(lambda: 'ready' in (tmp_path / 'log').read_text())
        assert not gone(child)
        parent.kill()
        parent.wait(PATIENCE)
        wait_for(lambda: gone(child))
    finally:
        parent.stdout.close()
        if not gone(child):
            os.kill(child, signal.SIGKILL)
