# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Runs one node as a process, and ends it in good order."""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeVar

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from spec_vla_ros.programs import DieWithParent, StopRequest, keep_freed_memory
from spec_vla_ros.ros.startup.logging_errors import with_way_on
from spec_vla_ros.ros.startup.parameter_files import malformed_parameters
from spec_vla_ros.ros.startup.remaps import malformed
from spec_vla_ros.ros.startup.ros_arguments import outside_ros_args, with_whole_numbers

LAST_WORD = 15
"""Seconds that a node has to end in good order; a second before, the log says where it hangs."""

LAST_ROUNDS = 10
"""Rounds of the executor after the last command, to send answers that are still waiting."""

HOW_TO_SET = """\
parameters and names are set as ROS does it:
  --ros-args --params-file FILE   parameters from a file; config/{node}.yaml has them all
  --ros-args -p NAME:=VALUE       one parameter
  --ros-args -r NAME:=OTHER       another name of a topic, a service or an action
  --ros-args -r __ns:=/arm        a namespace for all of them"""

NodeType = TypeVar('NodeType', bound=Node)


def read_command_line(description: str, *, node: str) -> None:
    """Handle the options that are not ROS's: --help and --end-with-parent; refuse all others."""
    parser = argparse.ArgumentParser(
        description=description,
        epilog=HOW_TO_SET.format(node=node),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--end-with-parent',
        action='store_true',
        help='end in good order when the process that started this one ends, however it does; '
        'the launch files say so',
    )
    # These words are refused, since rclpy would take dry_run:=true for a remapped topic.
    given = parser.parse_args(outside_ros_args(sys.argv[1:]))
    if given.end_with_parent:
        DieWithParent(signal.SIGTERM, parent=os.getppid())()


def spin_node(
    make_node: Callable[[], NodeType],
    *,
    before_exit: Callable[[NodeType], None] | None = None,
    told: StopRequest | None = None,
) -> None:
    """Spin a node until it is told to end, then let it publish its last command and exit with 0.

    SIGINT, SIGTERM and the end of its terminal (SIGHUP) tell it to end. rclpy's own signal
    handlers are off: they would close the context first, and nothing more could be published.

    Args:
        make_node: makes the node, after rclpy is initialised.
        before_exit: called with the node when it is to end, while it can still publish.
        told: set as soon as the node is told to end, so that long callbacks can stop early.
    """
    told = told or StopRequest()
    keep_freed_memory()
    with ExitStack() as copies:
        try:
            arguments = with_whole_numbers(sys.argv, copies=copies)
            rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
        except rclpy_implementation.UnknownROSArgsError as words:
            sys.exit(
                f'error: after --ros-args, ROS knows no {words}: write -p NAME:=VALUE to set a '
                'parameter, -r NAME:=OTHER for another name of a topic; --help says more'
            )
        except OSError as no_room:
            sys.exit(f'error: {no_room}; set TMPDIR to a folder that can be written')
        except RuntimeError as wrong_argument:
            reasons = [*malformed(sys.argv), *malformed_parameters(sys.argv)]
            sys.exit(f'error: {"; ".join(reasons) or with_way_on(wrong_argument)}')

    def stop(_signal: int, _frame: object) -> None:
        told.note()
        faulthandler.dump_traceback_later(LAST_WORD - 1)
        signal.alarm(LAST_WORD)  # kills the process if it hangs

    ends = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it
        ends.append(signal.SIGHUP)
    for number in ends:
        signal.signal(number, stop)
    try:
        node = make_node()
    except (ValueError, ParameterException) as wrong_parameter:  # one of ours, or use_sim_time
        sys.exit(f'error: {wrong_parameter}')
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while not told.came:
            executor.spin_once(timeout_sec=0.1)
    except ExternalShutdownException:
        pass
    finally:
        if before_exit is not None:
            before_exit(node)
            for _ in range(LAST_ROUNDS):
                executor.spin_once(timeout_sec=0)
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
        for number in ends:  # the interpreter takes a while to end, and a signal would kill it
            signal.signal(number, signal.SIG_IGN)
