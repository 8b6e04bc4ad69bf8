# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Counts the files and lines that one must read to follow the source: python scripts/house.py.

Each figure is printed with the most that it should be. The files on the path of an image are found
by tracing: while the control loop turns images into commands, with the shipped policy in relaxed
mode with temporal drafts, it notes which files of the package run. The node's topics and the
process in which a policy may run are not traced; their files are listed here and added.
"""

from __future__ import annotations

import ast
import sys
import threading
import token
import tokenize
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 'spec_vla_ros'
DEVELOPING = ('training/', 'evaluation/', 'benchmark/', 'commands/', 'ros/demo/', 'ros/develop/')
THRESHOLD = {
    *('threshold', 'thresholds', 'acceptance_threshold', 'acceptance_thresholds'),
    *('thresholds_by_dimension', 'acceptance_by_dimension'),
}
ENGINE = ('decoding/', 'planning/', 'models/', 'action_decoder.py')
OTHER_THRESHOLDS = ('inference/', 'programs.py')  # these set thresholds of the C allocator
TOPICS = ('inputs', 'hearing', 'converters', 'configured', 'outputs', 'arm_outputs', 'messages')
PROCESS = ('process_policy', 'child', 'wire', 'process_main')
NANOSECONDS = 1_000_000_000
FIRST, ACTIONS = 3, 20  # the first action that is traced, and the last


def main() -> None:
    """Print the figures."""
    for name, (figure, most) in figures().items():
        print(f'{figure:6} {"" if most is None else f"(at most {most})":16} {name}')


def figures() -> dict[str, tuple[int, int | None]]:
    """Return name of a figure -> the figure, and the most that it should be (None: no limit)."""
    decoding = sorted((PACKAGE / 'decoding').rglob('*.py'))
    seen = files_of_an_image()
    inside = {f for f in seen if f.startswith(ENGINE)}
    return {
        'lines of speculative_generate': (lines_of_the_loop(), 60),
        'files that name the acceptance threshold, on a robot': (len(files_of_a_threshold()), 10),
        'files an image passes on its way to a command': (len(seen), None),
        '... of them outside the engine': (len(seen - inside), 25),
        'lines of decoding': (sum(len(p.read_text().splitlines()) for p in decoding), 2400),
        'files of decoding': (len(decoding), 14),
        'files of control': (len(list((PACKAGE / 'control').glob('*.py'))), 16),
        'files of inference': (len(list((PACKAGE / 'inference').glob('*.py'))), 16),
    }


def lines_of_the_loop() -> int:
    """Return how many lines `speculative_generate` has, with its docstring."""
    tree = ast.parse((PACKAGE / 'decoding' / 'speculative.py').read_text())
    (loop,) = (n for n in tree.body if getattr(n, 'name', '') == 'speculative_generate')
    return (loop.end_lineno or 0) - loop.lineno + 1


def files_of_a_threshold() -> set[str]:
    """Return the files that name the acceptance threshold, without those for development."""
    return {
        name
        for name, path in sources()
        if not name.startswith((*DEVELOPING, *OTHER_THRESHOLDS)) and THRESHOLD & names_in(path)
    }


def sources() -> Iterator[tuple[str, Path]]:
    """Yield (path in the package, path) of every Python file of the package."""
    for path in sorted(PACKAGE.rglob('*.py')):
        yield str(path.relative_to(PACKAGE)), path


def names_in(path: Path) -> set[str]:
    """Return all names in a file's code, without comments and strings."""
    with tokenize.open(path) as file:
        return {t.string for t in tokenize.generate_tokens(file.readline) if t.type == token.NAME}


def files_of_an_image() -> set[str]:
    """Return the files that run between an image and a command while the arm moves.

    What is done once for an instruction or for changed settings does not count.
    """
    seen: set[str] = set()
    at_work = threading.Event()

    def watch(frame: FrameType, event: str, arg: object) -> None:
        path = frame.f_code.co_filename
        if event == 'call' and at_work.is_set() and path.startswith(str(PACKAGE)):
            seen.add(str(Path(path).relative_to(PACKAGE)))

    sys.path.insert(0, str(ROOT))
    import numpy as np

    from spec_vla_ros.checkpoints import TABLETOP
    from spec_vla_ros.control.loop import ControlLoop
    from spec_vla_ros.decoding.draft_tree import TreeShape
    from spec_vla_ros.policy import load_policy
    from spec_vla_ros.settings.nodes import PolicySettings

    policy = load_policy(TABLETOP, device='cpu', tree=TreeShape(4, 3, 9))
    settings = PolicySettings(decoding_mode='relaxed', acceptance_threshold=5)
    pictures = np.random.default_rng(0).integers(0, 255, (10, 192, 192, 3), np.uint8)
    inferred = threading.Event()
    threading.setprofile(watch)
    loop = ControlLoop(
        policy, to_rgb=lambda image: image, settings=settings, on_finished=inferred.set
    )
    threading.setprofile(None)
    loop.store_instruction('pick up the red block')
    sys.setprofile(watch)
    try:
        actions, now_ns = 0, 10 * NANOSECONDS
        while actions < ACTIONS:
            now_ns += NANOSECONDS // 30
            loop.store_image(pictures[actions % 10], stamp_ns=now_ns, now_ns=now_ns)
            tick = loop.tick(now_ns)
            if tick.halt.text:
                raise RuntimeError(f'the arm does not work: {tick.halt.text}')
            actions += tick.new_action is not None
            if actions == FIRST:
                at_work.set()
            if loop.at_rest and tick.new_action is None:
                inferred.wait(timeout=10.0)
                inferred.clear()
    finally:
        sys.setprofile(None)
        loop.close(timeout=10.0)
    seen |= {f'ros/{name}.py' for name in TOPICS} | {f'inference/{name}.py' for name in PROCESS}
    return seen


if __name__ == '__main__':
    main()
