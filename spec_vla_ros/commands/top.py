# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""`spec-vla top`: shows a dashboard of a running policy node."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--namespace', default='', help='of the node, such as /left_arm')
    parser.add_argument('--node', default='spec_vla', help='its name, if it was given another one')
    parser.add_argument('--once', action='store_true', help='draw it once and end')
    parser.add_argument(
        '--timeout', type=float, default=10.0, help='seconds to wait for the node, with --once'
    )


def run(args: argparse.Namespace) -> int:
    """Show the dashboard; return the exit status.

    Raises:
        ValueError: ROS is missing.
    """
    try:
        from spec_vla_ros.ros.top import watch  # the one command that needs ROS
    except ModuleNotFoundError as missing:
        raise ValueError(
            f'needs ROS 2 and the built messages ({missing}): source the workspace, or '
            '. scripts/activate.sh after `make setup`'
        ) from missing
    return watch(namespace=args.namespace, name=args.node, once=args.once, timeout=args.timeout)
