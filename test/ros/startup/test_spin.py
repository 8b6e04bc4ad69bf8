# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A node process ends in good order, however often it is told to, and says where it hangs."""

import signal

import psutil
import pytest
from processes import gone, run_python, start_python
from waiting import wait_for

pytestmark = pytest.mark.dds

SCRIPT = """
import os, signal, subprocess, sys, time
from rclpy.node import Node
from spec_vla_ros.ros.startup import spin

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


TIED = """
import subprocess, sys, time
program = [sys.executable, '-m', 'spec_vla_ros.ros.policy_node', '--end-with-parent']
print(subprocess.Popen(program, stdout=subprocess.DEVNULL).pid, flush=True)
time.sleep(3600)
"""


@pytest.mark.parametrize(
    ('module', 'words'),
    [
        ('policy_node', ('ros2 lifecycle set /spec_vla configure', 'config/spec_vla.yaml')),
        ('robots.sim_node', ('simulated robot', 'config/sim_robot.yaml')),
        ('robots.libero_node', ("LIBERO's Panda", 'config/libero_robot.yaml')),
    ],
)
def test_help_is_printed(module, words):
    done = run_python('-m', f'spec_vla_ros.ros.{module}', '--help')
    assert all(each in done.stdout for each in (*words, '--ros-args -p NAME:=VALUE'))


def test_what_nobody_would_read_is_refused():
    program = ('-m', 'spec_vla_ros.ros.policy_node')
    ended = run_python(*program, 'dry_run:=true', '--ros-args', '-p', 'a:=1', check=False)
    assert ended.returncode == 2
    assert 'unrecognized arguments: dry_run:=true' in ended.stderr


def test_a_word_that_ros_does_not_know_is_answered_with_what_to_write():
    program = ('-m', 'spec_vla_ros.ros.policy_node')
    ended = run_python(*program, '--ros-args', 'dry_run:=true', check=False)
    assert ended.returncode == 1
    assert "ROS knows no ['dry_run:=true']: write -p NAME:=VALUE" in ended.stderr


@pytest.mark.parametrize(
    ('given', 'words'),
    [
        (('-r', 'image:=/camera//image'), "'/camera//image' is no name of ROS"),
        (('-p', 'dry_run=true'), 'error: -p dry_run=true: write NAME:=VALUE'),
        (('-p', "use_sim_time:='true'"), "error: Trying to set parameter 'use_sim_time' to"),
    ],
)
def test_what_ros_cannot_read_ends_it_with_one_line_that_says_why(given, words):
    ended = run_python('-m', 'spec_vla_ros.ros.policy_node', '--ros-args', *given, check=False)
    assert ended.returncode == 1
    assert words in ended.stderr.splitlines()[-1]
    assert 'Traceback' not in ended.stderr


@pytest.mark.parametrize(
    'program', [('ros.policy_node',), ('cli', 'top', '--once')], ids=['node', 'top']
)
def test_where_no_log_can_be_written_it_says_what_to_set(program):
    module, *words = program
    home = {'HOME': '/proc/none', 'ROS_HOME': '', 'ROS_LOG_DIR': ''}
    ended = run_python('-m', f'spec_vla_ros.{module}', *words, check=False, **home)
    assert ended.returncode != 0
    assert 'set ROS_LOG_DIR to a folder that can be written' in ended.stderr.splitlines()[-1]
    assert 'Traceback' not in ended.stderr


def test_a_node_ends_with_its_parent_where_that_is_asked_for(world):
    parent = start_python('-c', TIED, ROS_DOMAIN_ID=str(world.domain_id))
    node = psutil.Process(int(parent.stdout.readline()))
    assert world.remote.state('/spec_vla') == 'unconfigured'
    parent.kill()
    wait_for(lambda: gone(node), 'the node to end')


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
