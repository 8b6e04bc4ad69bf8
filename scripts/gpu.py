#!/usr/bin/env python3
# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Runs tests and benchmark on a GPU with the Python that is installed, and writes a report.

python3 scripts/gpu.py            # the tests, then the benchmark's 7B shape: make gpu
python3 scripts/gpu.py --tests    # the tests only: make test-gpu; pytest gets all other arguments

It needs torch, torchvision, timm, transformers and pytest, but neither ROS nor a network, and
installs nothing. Tests that need a missing package are skipped and name it. OUT/gpu.md has the
versions, and for each step its result and time; beside it is the output of each step.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = [
    *('test/decoding', 'test/planning', 'test/models', 'test/benchmark', 'test/test_device.py'),
    *('test/test_action_decoder.py', 'test/test_policy.py', 'test/docs/test_library_doc.py'),
    'test/training/test_pipeline.py',
]
SEVEN_B = 'openvla-7b shape'
DEVICE = """
import torch
if torch.cuda.is_available():
    print(torch.cuda.get_device_name(), 'CUDA', torch.version.cuda, sep=', ')
"""


def main() -> int:
    """Run each step in a process of its own; return 1 if one of them failed, otherwise 0."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--tests', action='store_true', help='without the benchmark')
    parser.add_argument('--out', type=Path, default=ROOT / 'results' / 'gpu')
    args, for_pytest = parser.parse_known_args()
    pytest = [sys.executable, '-m', 'pytest', *TESTS, *for_pytest]
    bench = ['bench', '--device', 'cuda', '--cases', SEVEN_B, '--out', str(args.out)]
    steps = {
        'tests that need a CUDA device': [*pytest, '-m', 'gpu'],
        'the other tests of model and decoding': [*pytest, '-m', 'not gpu'],
        f'benchmark, {SEVEN_B}': [sys.executable, '-m', 'spec_vla_ros.cli', *bench],
    }
    args.out.mkdir(parents=True, exist_ok=True)
    device = device_in_words()
    record = [f'{datetime.date.today()}, {device or "no CUDA device"}. {installed()}', '']
    record += ['| step | result | seconds |', '|---|---|---|']
    print(*record[:1], sep='\n', flush=True)
    failed = False
    for number, (name, command) in enumerate(steps.items(), 1):
        if 'pytest' not in command and (args.tests or not device):
            result, seconds = 'left out' if args.tests else 'skipped: no CUDA device', 0.0
        else:
            print(f'\n== {name}', flush=True)
            began = time.monotonic()
            result = run(command, args.out / f'step{number}.log')
            seconds = time.monotonic() - began
            failed |= 'failed' in result or 'error' in result
        record.append(f'| {name} | {result} | {seconds:.0f} |')
        (args.out / 'gpu.md').write_text('\n'.join([*record, '']))  # also if a later step hangs
    print('', *record, '', f'written: {args.out}/gpu.md', sep='\n')
    return int(failed)


def device_in_words() -> str:
    """Return in words the CUDA device, CUDA's version and the driver; empty without a device."""
    found = subprocess.run(
        [sys.executable, '-c', DEVICE], check=False, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    smi = shutil.which('nvidia-smi')
    if not found or smi is None:
        return found
    query = [smi, '--query-gpu=driver_version', '--format=csv,noheader']
    driver = subprocess.run(query, check=False, stdout=subprocess.PIPE, text=True).stdout
    return f'{found}, driver {" ".join(driver.split())}'


def installed() -> str:
    """Return in words the versions of Python and the packages, and which packages are missing."""
    texts = [(ROOT / f'requirements/{n}.txt').read_text() for n in ('torch', 'core', 'bench')]
    names = re.findall(r'^[\w.-]+', '\n'.join(texts), re.MULTILINE)
    found = {name: version_of(name) for name in [*names, 'torchao', 'pytest', 'hypothesis']}
    have = [f'{name} {version}' for name, version in found.items() if version]
    missing = ', '.join(name for name in found if not found[name])
    have.insert(0, f'Python {platform.python_version()}')
    return f'{", ".join(have)}. Missing: {missing or "nothing"}.'


def version_of(name: str) -> str:
    """Return the version of a package; empty if it is not installed."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(name)
    return ''


def run(command: list[str], log: Path) -> str:
    """Run a command; print its output, write it into a log, and return in words how it ended."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
    environment = {**os.environ, 'PYTHONPATH': path, 'PYTHONUNBUFFERED': '1'}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with log.open('w') as kept, process:
        for line in process.stdout or ():
            sys.stdout.write(line)
            sys.stdout.flush()
            kept.write(line)
    counted = re.search(r'((?:\d+ \w+(?:, )?)+) in [\d.]+s', log.read_text()[-2000:])
    words = counted[1] if counted else 'done'
    return words if process.returncode == 0 else f'{words}; error: status {process.returncode}'


if __name__ == '__main__':
    sys.exit(main())
