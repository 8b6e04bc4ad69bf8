# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Writes parameter files and the documentation's tables from the settings, or checks them.

python -m spec_vla_ros.settings [--check] [--root FOLDER]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from spec_vla_ros.settings.tables import generated

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Run from the command line; with --check, end with 1 where a file differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--check', action='store_true', help='write nothing')
    parser.add_argument('--root', type=Path, default=ROOT, help='of the source tree')
    args = parser.parse_args()
    try:
        files = generated(args.root)
    except ValueError as error:
        sys.exit(f'error: {error}')
    changed = [p for p, text in files.items() if not p.exists() or p.read_text() != text]
    if args.check and changed:
        names = ', '.join(str(path.relative_to(args.root)) for path in changed)
        sys.exit(f'{names}: differs from the settings; run `make params`')
    for path in changed:
        path.write_text(files[path])
        print(path.relative_to(args.root))


if __name__ == '__main__':
    main()
