#!/usr/bin/env python3
# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Runs tests with other versions of torch and related packages, in an environment of its own.

scripts/versions.py FOLDER 'torch==2.11.*' 'torchvision==0.26.*' 'transformers==5.17.*'
scripts/versions.py FOLDER --oldest    # the lowest versions that requirements/*.txt allow
scripts/versions.py FOLDER             # the newest versions that they allow

FOLDER must be outside the repository and not exist yet; it is removed at the end. The last line of
the output is a row for the table in docs/reference/versions.md. PYTHON=python3.10 chooses the
interpreter.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ('torch', 'torchvision', 'timm', 'transformers', 'numpy')


def _of(room: str, *names: str) -> list[str]:
    return [f'test/{room}/test_{name}.py' for name in names]


PARTS = {
    'parity': ['test/models', *_of('decoding', 'speculative_parity')],
    'decoding': [
        *_of('decoding', 'speculative', 'draft_tree', 'acceptance', 'kv_cache'),
        'test/test_action_decoder.py',
    ],
    'recorded steps': _of('decoding', 'recorded_decoding', 'graph_runner', 'device_waits'),
    'policy, library': ['test/test_policy.py', *_of('docs', 'library_doc'), 'test/benchmark'],
    'nodes': _of('ros', 'closed_loop_over_dds', 'policy_node', 'safety_process'),
}
"""Heading of a column of the table -> tests that pytest runs for it."""


def main() -> int:
    """Make the environment, run the tests in it, and print a row of the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path, help='to make the environment in')
    parser.add_argument('pins', nargs='*', help="versions, as 'torch==2.11.*'")
    parser.add_argument('--oldest', action='store_true', help='the least that is asked for')
    parser.add_argument(
        '--parts', nargs='+', choices=[*PARTS], default=[*PARTS], help='(default: all)'
    )
    parser.add_argument('--keep', action='store_true', help='leave the folder there')
    args = parser.parse_args()
    folder = args.folder.resolve()
    if folder.is_relative_to(ROOT):
        parser.error(f'{folder} is inside the tree: name a folder outside of it')
    if folder.exists() and not (folder / '.venv').exists():
        parser.error(f'{folder} exists, and is no environment that this has made')
    folder.mkdir(parents=True, exist_ok=True)
    pins = [*(lower_bounds() if args.oldest else []), *args.pins]
    (folder / 'constraints.txt').write_text('\n'.join([*pins, '']))
    environment = {
        **os.environ,
        'SPEC_VLA_ENV': str(folder),
        'SPEC_VLA_CONSTRAINTS': str(folder / 'constraints.txt'),
        'SPEC_VLA_REQUIRE_ROS': '1',
    }
    try:
        subprocess.run([ROOT / 'scripts' / 'setup_env.sh'], check=True, env=environment)
        results = {name: run(PARTS[name], environment) for name in args.parts}
        print(row(results, environment))
    finally:
        if not args.keep:
            shutil.rmtree(folder)
    return 0 if all(' failed' not in r and 'error' not in r for r in results.values()) else 1


def lower_bounds() -> list[str]:
    """Return pip constraints to the lowest version of each requirement that has one."""
    texts = [path.read_text() for path in sorted((ROOT / 'requirements').glob('*.txt'))]
    found = {match for text in texts for match in re.findall(r'^([\w.-]+)>=([\w.]+)', text, re.M)}
    return [f'{name}=={version}' for name, version in sorted(found)]


def run(tests: list[str], environment: dict[str, str]) -> str:
    """Run tests, print their output, and return pytest's summary in words."""
    command = f'. scripts/activate.sh && exec python -m pytest {" ".join(tests)}'
    lines = ['']
    with subprocess.Popen(
        ['bash', '-c', command], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            sys.stdout.write(line)
            lines.append(line)
    found = re.search(r'((?:\d+ \w+(?:, )?)+) in ', lines[-1])
    return found[1] if found else f'error: pytest ended with {process.returncode}'


def row(results: dict[str, str], environment: dict[str, str]) -> str:
    """Return versions and results as a row of the table.

    results: heading of a column -> summary.
    """
    program = (
        'import platform; from importlib.metadata import version; '
        f'print(platform.python_version(), *map(version, {PACKAGES}), sep=" | ")'
    )
    versions = subprocess.run(
        ['bash', '-c', '. scripts/activate.sh && exec python -c "$0"', program],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    cells = [results.get(part, 'not run') for part in PARTS]
    return f'| {versions} | {" | ".join(cells)} | {datetime.date.today()} |'


if __name__ == '__main__':
    sys.exit(main())
