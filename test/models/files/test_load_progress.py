# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Loading says how far it is, and programs of ours show what the package says."""

import logging

import pytest
from processes import run_python
from toy_checkpoint import write_tiny

from spec_vla_ros.models.files.load_progress import LoggedProgress
from spec_vla_ros.policy import load_policy


@pytest.mark.parametrize(('every', 'lines'), [(0.0, 4), (1000.0, 1)])
def test_the_end_is_always_said_the_way_now_and_then(caplog, tmp_path, every, lines):
    with caplog.at_level(logging.INFO):
        progress = LoggedProgress(tmp_path, every=every)
        for done in range(1, 5):
            progress(done * 10**9, 4 * 10**9)
    assert len(caplog.messages) == lines
    assert f'{tmp_path}: 4.00 of 4.00 GB of weights loaded' in caplog.messages[-1]


def test_a_policy_says_what_is_active(caplog, tmp_path):
    with caplog.at_level(logging.INFO, logger='spec_vla_ros'):
        load_policy(write_tiny(tmp_path / 'tiny'), device='cpu').warm_up()
    text = '\n'.join(caplog.messages)
    for said in ('GB of weights loaded', 'cpu, weights in float32, no drafter', 'warmed up in'):
        assert said in text


@pytest.mark.parametrize(('shown', 'expected'), [(True, 1), (False, 0)])
def test_programs_show_the_log_and_the_library_alone_does_not(shown, expected):
    program = 'import logging\nfrom spec_vla_ros.programs import log_to_stderr\n'
    program += 'log_to_stderr()\n' * 2 * shown  # the second time changes nothing
    program += "logging.getLogger('spec_vla_ros.models').info('loading')\n"
    program += "logging.getLogger('another').info('chatter')\n"
    done = run_python('-c', program)
    assert done.stderr.count('[spec_vla_ros.models]: loading') == expected
    assert 'chatter' not in done.stderr
