# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Whatever instructions, images, poses and actions come, in whatever order: it halts or it moves.

Within the limits, and never with an exception.
"""

import unicodedata

import numpy as np
import pytest
from fuzzing import attempt, fuzz
from hypothesis import given
from hypothesis import strategies as st
from loop_driver import DELTA, Driver, Policy
from tokenizers import Tokenizer
from waiting import PATIENCE

from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.control.poses import Pose
from spec_vla_ros.control.preconditions import EmergencyStop
from spec_vla_ros.control.tick import Reason
from spec_vla_ros.models.prompts import PromptProcessor
from spec_vla_ros.types import MAX_INSTRUCTION

TEXTS = st.one_of(
    st.text(max_size=30),
    st.text(st.characters(categories=['Cs', 'Cc', 'Cf', 'Co', 'Zs', 'Zl']), max_size=10),
    st.text('ab \t\n\x00\x7f\ud800\udfff\ufffd\u202e\u0130ß', max_size=12),
    st.sampled_from(
        ['pick up the red block', 'x' * MAX_INSTRUCTION, 'y ' * 500_000, ' ', '▁▁<s>']
    ),
)
VALUES = st.one_of(
    st.floats(), st.floats(-0.1, 0.1), st.sampled_from([0.0, 1.0, float('nan'), float('inf')])
)
EVENTS = st.one_of(
    st.tuples(st.just('instruction'), TEXTS),
    st.tuples(st.just('image'), st.integers(-(2**62), 2**62)),
    st.tuples(st.just('fresh image'), st.integers(0, 10**9)),
    st.tuples(st.just('clock'), st.integers(-(2**40), 2**40)),
    st.tuples(st.just('answer'), st.lists(VALUES, min_size=7, max_size=7)),
    st.tuples(st.just('answer'), st.lists(VALUES, max_size=9)),
    st.tuples(st.just('answer'), st.just(DELTA.tolist())),
    st.tuples(st.just('raise'), st.text(max_size=5)),
    st.tuples(st.just('pose'), st.lists(VALUES, min_size=7, max_size=7)),
    st.tuples(st.just('ticks'), st.integers(1, 6)),
)


@pytest.fixture
def made():
    """Drivers of loops, which are closed at the end of the test."""
    drivers = []

    def make(**settings):
        for driver in drivers:
            driver.loop.close(timeout=PATIENCE)
        options = {'emergency': EmergencyStop()}
        settings = {'decoding_mode': 'autoregressive', **settings}
        drivers[:] = [Driver(Policy(), options=options, **settings)]
        return drivers[0]

    yield make
    for driver in drivers:
        driver.loop.close(timeout=PATIENCE)


def test_instructions(made):
    driver = made()

    @fuzz(150)
    @given(text=TEXTS)
    def try_it(text):
        driver.policy.seen.clear()
        driver.loop.store_instruction('')
        driver.loop.store_instruction(text)
        for _ in range(3):
            tick = driver.tick()
        if tick.halt.reason is Reason.NONE:
            assert 0 < len(driver.loop.instruction) <= MAX_INSTRUCTION
        else:
            assert tick.halt.reason in (Reason.NO_INSTRUCTION, Reason.BAD_INSTRUCTION)
            assert tick.halt.text
            assert not driver.policy.seen
        for seen in driver.policy.seen:
            assert all(unicodedata.category(c) != 'Cc' for c in seen.instruction)

    try_it()


def test_any_order_of_events(made):
    @fuzz(120)
    @given(
        events=st.lists(EVENTS, max_size=25),
        box=st.booleans(),
        wait=st.booleans(),
    )
    def try_it(events, box, wait):
        limits = {'workspace_min': (-0.2,) * 3, 'workspace_max': (0.2,) * 3} if box else {}
        driver = made(wait_for_motion=wait, **limits)
        driver.loop.store_instruction('go')
        for kind, what in events:
            apply(driver, kind, what)
            tick = driver.tick(frame=kind in ('answer', 'ticks'))
            twist = np.concatenate([tick.twist.linear, tick.twist.angular])
            assert np.isfinite(twist).all()
            assert (np.abs(twist[:3]) <= 0.5 + 1e-9).all()
            assert (np.abs(twist[3:]) <= 2.5 + 1e-9).all()
            if tick.halt.reason is not Reason.NONE:
                assert not twist.any()
                assert tick.halt.text
            if tick.new_action is not None:
                assert np.isfinite(tick.new_action.action.values).all()

    try_it()


def apply(driver, kind, what):
    loop = driver.loop
    if kind == 'instruction':
        loop.store_instruction(what)
    elif kind == 'image':
        image = np.zeros((2, 2, 3), np.uint8)
        loop.store_image(image, stamp_ns=max(0, what), now_ns=driver.now_ns, source=what % 3)
    elif kind == 'fresh image':
        driver.frame(age_ns=what)
    elif kind == 'clock':
        driver.now_ns = max(1, driver.now_ns + what)
    elif kind == 'answer':
        driver.policy.answer = np.array(what)
    elif kind == 'raise':
        driver.policy.answer = RuntimeError(what)
    elif kind == 'pose':
        loop.store_pose(Pose(np.array(what[:3]), np.array(what[3:]), 'base_link', driver.now_ns))
    else:
        for _ in range(what):
            driver.tick()


def as_ros_decodes(text):
    """Bytes that are no UTF-8 arrive as replacement characters."""
    return text.encode('utf-8', 'surrogatepass').decode('utf-8', 'replace')


@pytest.fixture(scope='module')
def prompt_processor():
    return PromptProcessor(Tokenizer.from_file(str(TABLETOP / 'tokenizer.json')), vocab_size=320)


def test_prompts(prompt_processor):
    @fuzz(300)
    @given(text=TEXTS.map(as_ros_decodes))
    def try_it(text):
        ids, refusal = attempt(lambda: prompt_processor(text))
        if refusal is None:
            assert ids.shape[0] == 1
            assert 0 <= ids.min() <= ids.max() < 320

    try_it()
