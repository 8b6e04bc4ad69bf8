# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the tests share.

The tests in test/ros need rclpy and the built messages. Without a ROS installation they are left
out, and the header of the test run says so. Tests that need another package that is not installed
are skipped by its name. SPEC_VLA_REQUIRE_ROS=1, which `make test` sets, makes absence an error.
"""

import importlib.util
import logging
import os
import re
import signal
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# One thread each: two suites side by side would otherwise wait for each other at every barrier.
os.environ.setdefault('OMP_NUM_THREADS', '1')
sys.path.insert(0, str(ROOT))  # the source tree is tested, whatever is installed
# A shell's background jobs ignore interrupts, and so would every program that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def not_under_nohup():
    """Whoever runs the tests by nohup ignores SIGHUP, and so would every program they start."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def _ros_is_here() -> bool:
    return (
        importlib.util.find_spec('rclpy') is not None
        and importlib.util.find_spec('spec_vla_ros.msg') is not None
    )


REQUIRED = os.environ.get('SPEC_VLA_REQUIRE_ROS') == '1'
LEFT_OUT = not _ros_is_here() and not REQUIRED
collect_ignore = ['ros'] if LEFT_OUT else []


def pytest_report_header() -> str:
    if LEFT_OUT:
        return 'test/ros is left out: no rclpy, or the messages are not built (try `make test`)'
    return 'test/ros is included'


def _not_installed(text: str) -> str | None:
    """Return the package that an import did not find, by its error; None where it is ours."""
    names = re.findall(r"No module named '([^'.]+)", text)
    ours = {'spec_vla_ros', *(path.stem for path in (ROOT / 'test' / 'helpers').glob('*.py'))}
    return names[-1] if names and names[-1] not in ours and not REQUIRED else None


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    """Skip a file that imports what is not installed."""
    report = yield
    name = _not_installed(str(report.longrepr)) if report.failed else None
    if name is not None:
        report.outcome = 'skipped'
        report.longrepr = (str(collector.path), 0, f'Skipped: {name} is not installed')
    return report


def _skip_what_is_not_installed(item: pytest.Item):
    try:
        return (yield)
    except ModuleNotFoundError as error:
        name = _not_installed(str(error))
        if name is None:
            raise
        pytest.skip(f'{name} is not installed')


pytest_runtest_setup = pytest.hookimpl(wrapper=True)(_skip_what_is_not_installed)
pytest_runtest_call = pytest.hookimpl(wrapper=True)(_skip_what_is_not_installed)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let workers that share the tests begin with those that take longest."""
    if hasattr(config, 'workerinput'):
        items.sort(key=lambda item: 'slow' not in item.keywords)


@pytest.fixture(autouse=True)
def _for_the_whole_process():
    """Undo what commands set for their process: tiny numbers taken as zero, threads, a log."""
    yield
    if 'torch' in sys.modules:
        sys.modules['torch'].set_flush_denormal(False)
        # OMP_THREAD_LIMIT would hold within a test, too, but torch 2.13 computes NaN with it.
        sys.modules['torch'].set_num_threads(1)
    log = logging.getLogger('spec_vla_ros')
    log.handlers.clear()
    log.setLevel(logging.NOTSET)
    log.propagate = True


@pytest.fixture
def drive():
    """Make control loops on a clock of our own, and close them."""
    import loop_driver
    from waiting import PATIENCE

    drivers = []

    def make(policy=None, *, options=None, **settings):
        policy = policy or loop_driver.Policy()
        drivers.append(loop_driver.Driver(policy, options=options or {}, **settings))
        return drivers[-1]

    yield make
    for driver in drivers:
        driver.policy.gate.set()
        assert driver.loop.close(timeout=PATIENCE)
