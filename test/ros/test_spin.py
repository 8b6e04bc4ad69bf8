# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A node process ends in good order, however often it is told to, and says where it hangs."""

import signal

import pytest
from processes import run_python

pytestmark = pytest.mark.dds

SCRIPT = """
import os, signal, subprocess, sys, time
from rclpy.node import Node
from spec_vla_ros.ros import spin

if 'hang' in sys.argv:
    spin.LAST_WORD = 2
number = getattr(signal, sys.argv[1])

class Told(Node):
    def __init__(self):
        super().__init__('told')
        self.create_timer(0.1, lambda: os.kill(os.getpid(), number))

    def destroy_node(self):
        if 'hang' in sys.argv:
            time.sleep(60)
        super().destroy_node()

spin.spin_node(Told)
# again and again, until this process is no more
again = f'while kill -{number.value} {os.getpid()} 2>/dev/null; do :; done'
subprocess.Popen(['sh', '-c', again], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print('ended in good order')
"""


def run(*arguments):
    return run_python('-c', SCRIPT, *arguments, check=False)


@pytest.mark.parametrize('number', ['SIGINT', 'SIGTERM'])
def test_told_again_it_ends_all_the_same(number):
    ended = run(number)
    assert (ended.returncode, ended.stdout) == (0, 'ended in good order\n'), ended.stderr


def test_what_hangs_at_the_end_is_named_and_killed():
    ended = run('SIGINT', 'hang')
    assert ended.returncode == -signal.SIGALRM
    assert 'in destroy_node' in ended.stderr
