#!/usr/bin/env python3
# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Mutation testing: changes modules in one place at a time, and lists what no test notices.

scripts/mutate.py MODULE_OR_FOLDER... [--tests TEST...] [--sample N] [--seed N] [--limit SECONDS]

Each change is made in a copy of the repository. First the tests that mirror the module run
(test/PART/test_MODULE*.py), then those of its part; --tests names others. The results are in
docs/results/mutation.md.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import itertools
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = shutil.ignore_patterns('.*', 'build', 'install', 'log', 'results', '__pycache__')
PRELOADED = ('numpy', 'hypothesis', 'pytest', 'torch')  # imported once, before processes fork
SWAPPED = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is},
    **{ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult},
}
SECONDS = itertools.count(1)
DELETED = (ast.Assign, ast.AugAssign, ast.Expr, ast.Raise, ast.Return)
NO_BEHAVIOUR = {'annotation', 'returns', 'decorator_list'}


def changed_nodes(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Yield each expression or statement to change, with the source that replaces it."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    ends = {f.body[-1] for f in functions if ast.unparse(f.body[-1]) == 'return None'}
    for node in _behaviour(tree):
        if isinstance(node, ast.Compare):
            for index, op in enumerate(node.ops):
                new = copy.copy(node)
                new.ops = [*node.ops[:index], SWAPPED[type(op)](), *node.ops[index + 1 :]]
                yield node, f'({ast.unparse(new)})'
        elif isinstance(node, (ast.BinOp, ast.BoolOp)) and type(node.op) in SWAPPED:
            new = copy.copy(node)
            new.op = SWAPPED[type(node.op)]()
            yield node, f'({ast.unparse(new)})'
        elif isinstance(node, ast.UnaryOp):
            yield node, f'({ast.unparse(node.operand)})'
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
            is_flag = isinstance(node.value, bool)
            yield node, str(not node.value if is_flag else node.value + 1)
        elif isinstance(node, DELETED) and not _is_docstring(node) and node not in ends:
            yield node, 'pass'


def _behaviour(node: ast.AST) -> Iterator[ast.AST]:
    """Walk through the nodes that are executed, without annotations and parts of f-strings."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in NO_BEHAVIOUR:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):
                yield from _behaviour(child)


def _is_docstring(node: ast.AST) -> bool:
    """Return whether a statement is a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def mutations(path: Path) -> Iterator[tuple[int, str, bytes]]:
    """Yield (line, description, whole changed source) of each change to a module."""
    source = path.read_bytes()
    begins = [0]
    for line in source.splitlines(keepends=True):
        begins.append(begins[-1] + len(line))
    for node, after in changed_nodes(ast.parse(source)):
        begin = begins[node.lineno - 1] + node.col_offset
        end = begins[node.end_lineno - 1] + node.end_col_offset
        before = ' '.join(source[begin:end].decode().split())
        yield node.lineno, f'{before}  ->  {after}', source[:begin] + after.encode() + source[end:]


def write(path: Path, source: bytes) -> None:
    """Write a module with a new time stamp, since Python caches bytecode by the second."""
    path.write_bytes(source)
    stamp = next(SECONDS)
    os.utime(path, (stamp, stamp))


def outcome(tree: Path, tests: list[str], limit: float) -> str:
    """Run tests in a process of their own; return 'killed', 'survived' or 'timeout'.

    'killed' means that a test failed, so the change was noticed.
    """
    process = multiprocessing.get_context('fork').Process(target=_test, args=(tree, tests))
    process.start()
    process.join(limit)
    if process.is_alive():
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
        return 'timeout'
    return 'killed' if process.exitcode else 'survived'


def _test(tree: Path, tests: list[str]) -> None:
    os.setsid()  # so that it can be killed together with the processes that it starts
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silence, stream)
    os.chdir(tree)
    import pytest

    sys.exit(pytest.main(['-x', '-q', '-p', 'no:cacheprovider', *tests]))


def tests_of(module: Path) -> list[list[str]]:
    """Return the tests that mirror a module, and then those of its part of the package."""
    part = Path('test') / module.parent.relative_to('spec_vla_ros')
    mirrors = sorted(
        str(p.relative_to(ROOT)) for p in (ROOT / part).glob(f'test_{module.stem}*.py')
    )
    return [tests for tests in (mirrors, [str(part)]) if tests]


def main() -> None:
    """Run from the command line; exit with 1 if tests fail without any change."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('modules', nargs='+', type=Path)
    parser.add_argument('--tests', nargs='+', help='instead of those that mirror the modules')
    parser.add_argument('--sample', type=int, help='only so many, chosen by the seed')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--limit', type=float, default=60.0, help='seconds for one run of tests')
    args = parser.parse_args()
    for name in PRELOADED:
        importlib.import_module(name)
    modules = [p for given in args.modules for p in (sorted(given.glob('*.py')) or [given])]
    todo = [(path, *found) for path in modules for found in mutations(ROOT / path)]
    if args.sample is not None and args.sample < len(todo):
        chosen = random.Random(args.seed).sample(range(len(todo)), args.sample)
        todo = [todo[index] for index in sorted(chosen)]
    score: Counter[str] = Counter()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / 'tree'
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
        for path in dict.fromkeys(path for path, *_ in todo):
            for tests in [args.tests] if args.tests else tests_of(path):
                if outcome(tree, tests, 10 * args.limit) != 'survived':
                    sys.exit(f'{" ".join(tests)}: failed without any change')
        for path, line, words, source in todo:
            write(tree / path, source)
            for tests in [args.tests] if args.tests else tests_of(path):
                found = outcome(tree, tests, args.limit)
                if found != 'survived':
                    break
            write(tree / path, (ROOT / path).read_bytes())
            score[found] += 1
            print(f'{found:8}  {path}:{line}  {words}', flush=True)
    noticed = score.total() - score['survived']
    print(
        f'{noticed} of {score.total()} noticed, {score["timeout"]} of them by the time limit; '
        f'{time.monotonic() - began:.0f} s'
    )


if __name__ == '__main__':
    main()
