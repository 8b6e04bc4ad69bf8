# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Inspect, try, tune, measure, watch and train vision-language-action policies.

The `spec-vla` command. Each subcommand is a module with `add_arguments(parser)` and `run(args) ->
exit status`, imported only when it is the one that was asked for.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from importlib import import_module

from spec_vla_ros.programs import INTERRUPTED

COMMANDS = {
    'predict': ('spec_vla_ros.commands.predict', 'print the action for one image'),
    'inspect': ('spec_vla_ros.commands.inspect', 'say what a checkpoint folder holds'),
    'evaluate': ('spec_vla_ros.evaluation.evaluate', 'measure success in the simulator'),
    'libero-expert': (
        'spec_vla_ros.commands.libero_expert',
        'measure the scripted expert in LIBERO',
    ),
    'record-sim': ('spec_vla_ros.commands.record_sim', 'record episodes of the simulated robot'),
    'tune': ('spec_vla_ros.commands.tune', 'choose the acceptance threshold from recordings'),
    'compare': ('spec_vla_ros.commands.compare', "hold a policy against a recorded arm's motion"),
    'bench': ('spec_vla_ros.benchmark.bench', 'measure the speed of every way of decoding'),
    'top': ('spec_vla_ros.commands.top', 'watch a running policy node'),
    'drafter-data': ('spec_vla_ros.commands.drafter_data', 'compute what a drafter learns from'),
    'train-drafter': ('spec_vla_ros.commands.train_drafter', 'train a drafter'),
    'train-policy': ('spec_vla_ros.commands.train_policy', 'train a small policy for a simulator'),
}
"""Name of a subcommand -> its module, and its line in the help."""

EXTRAS = {
    'evaluate': 'sim',
    'libero-expert': 'libero',
    'record-sim': 'sim,train',
    'tune': 'train',
    'compare': 'train',
    'bench': 'sim,bench',
    'drafter-data': 'train',
    'train-drafter': 'train',
    'train-policy': 'sim,train',
}
"""What a subcommand needs beyond a robot's installation."""


CUT_SHORT = 128 + signal.SIGPIPE
"""What a command ends with whose reader has gone, as shells have it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        return _run(_parse(argv))
    except KeyboardInterrupt:  # while a command is imported, too, which takes seconds
        print(' '.join(['spec-vla', *argv[:1]]) + ': interrupted', file=sys.stderr)
        return INTERRUPTED


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='spec-vla', description=__doc__.partition('\n')[0])
    subparsers = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    for name, (module, summary) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary)
        if argv and argv[0] == name:
            try:
                command = import_module(module)
            except ModuleNotFoundError as missing:
                if name not in EXTRAS or str(missing.name).startswith('spec_vla_ros'):
                    raise
                parser.exit(
                    2,
                    f'spec-vla {name}: error: {missing.name} is not installed; it comes with '
                    f"pip install -e '.[{EXTRAS[name]}]', in the folder of this package\n",
                )
            command.add_arguments(subparser)
            subparser.set_defaults(run=command.run)
    return parser.parse_args(argv)


def _run(args: argparse.Namespace) -> int:
    try:
        status: int = args.run(args)
        sys.stdout.flush()  # a reader that has gone, and a full disk, are told here at the latest
        return status
    except BrokenPipeError:  # `| head` has seen enough
        _let_go_of_output()
        return CUT_SHORT
    except (ValueError, OSError) as error:
        print(f'spec-vla {args.command}: error: {error}', file=sys.stderr)
        _let_go_of_output()
        return 2
    except BrokenExecutor:
        what = (
            'a process was ended from outside, as where memory runs out; the same command goes on '
            f'from what is written: {_for_less_memory(args)}'
        )
    except (RuntimeError, MemoryError) as error:
        if not _ran_out_of_memory(error):
            raise
        reason = str(error).partition('\n')[0]
        what = f'there is not enough memory: {_for_less_memory(args)} ({reason})'
    print(f'spec-vla {args.command}: error: {what}', file=sys.stderr)
    return 2


def _let_go_of_output() -> None:
    """Write what is left, or drop it: else Python tries again at its end, and fails."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _for_less_memory(args: argparse.Namespace) -> str:
    """Say what helps, by options that the command has."""
    ways = ['end what else runs on the device']
    if 'device' in args:
        ways.append('or choose another --device')
    if 'dtype' in args:
        ways.append('or a --dtype of 16 bits')
    if getattr(args, 'processes', 1) > 1:
        ways.append('or give fewer --processes')
    return ', '.join(ways)


def _ran_out_of_memory(error: Exception) -> bool:
    """Tell by what torch says, which most commands need not import."""
    on_device = type(error).__name__ == 'OutOfMemoryError'
    return on_device or isinstance(error, MemoryError) or "can't allocate memory" in str(error)


if __name__ == '__main__':
    sys.exit(main())
