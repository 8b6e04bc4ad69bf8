# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Runs a soak test from the command line; the exit code is 0 if it passed, otherwise 1."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from spec_vla_ros.command_line import user_path
from spec_vla_ros.programs import ending_when_asked, say
from spec_vla_ros.ros.children import ChildFailedError
from spec_vla_ros.ros.develop.soak.report import markdown, plot, soak_figures
from spec_vla_ros.ros.develop.soak.run import SoakError, soak
from spec_vla_ros.ros.free_domain import keep_to_this_machine
from spec_vla_ros.ros.remote import NoRosError


def main() -> None:
    """Run a soak, and write soak.json, soak.md and soak.png, even if it ended early."""
    args = _parse()
    keep_to_this_machine()
    try:
        with ending_when_asked() as check:
            outcome = soak(
                seconds=60 * args.minutes,
                seed=args.seed,
                logs=args.results / 'soak_logs',
                check=check,
                say=say,
            )
    except (ChildFailedError, NoRosError, SoakError, TimeoutError) as error:
        print(f'soak failed: {error}')
        sys.exit(1)
    found = soak_figures(outcome)
    args.results.mkdir(parents=True, exist_ok=True)
    (args.results / 'soak.json').write_text(json.dumps(found, indent=2) + '\n')
    (args.results / 'soak.md').write_text(markdown(found))
    plot(outcome, args.results / 'soak.png')
    print('\n' + markdown(found))
    print(f'wrote {args.results}/soak.json, soak.md, soak.png')
    sys.exit(0 if found['passed'] else 1)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='soak', description=__doc__)
    parser.add_argument('--minutes', type=float, default=60.0, help='default: %(default)s')
    parser.add_argument('--seed', type=int, default=0, help='of the faults and their times')
    parser.add_argument('--results', type=user_path, default=Path('results'), help='output folder')
    args = parser.parse_args()
    if not args.minutes > 0:
        parser.error(f'--minutes must be above 0, got {args.minutes}')
    return args


if __name__ == '__main__':
    main()
