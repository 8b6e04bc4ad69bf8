# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Whatever a parameter is set to: settings within their bounds, or a ValueError that names it."""

import dataclasses

import pytest
from fuzzing import attempt, fuzz
from hypothesis import given
from hypothesis import strategies as st

from spec_vla_ros.settings.nodes import PolicySettings, SimSettings
from spec_vla_ros.settings.parameter import changed, meaning_of

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=6),
    st.binary(max_size=4),
)
FIELDS = [(kind, f) for kind in (PolicySettings, SimSettings) for f in dataclasses.fields(kind)]


def near(field):
    """Values of about the right kind: at the bounds, a little beyond, of a neighbouring type."""
    meaning, default = meaning_of(field), field.default
    first = default[0] if isinstance(default, tuple) else default
    numbers = [n for n in (meaning.low, meaning.high) if n is not None]
    around = [x for n in numbers for x in (n, n - 1, n + 1, -n, float(n), int(n), n + 1e-9)]
    one = st.one_of(st.sampled_from([first, *around, *meaning.choices, '']), SCALARS)
    many = st.lists(one, max_size=8)
    return st.one_of(one, many.map(tuple), many, st.just(default))


def names_a_parameter(refusal, kind):
    """Mostly the one that was set; where two contradict each other, the other one."""
    return any(f.name in refusal for f in dataclasses.fields(kind))


def assert_valid(settings, field):
    meaning, value = meaning_of(field), getattr(settings, field.name)
    assert type(value) is type(field.default)
    numbers = value if isinstance(value, tuple) else (value,)
    if meaning.low is not None:
        assert all(meaning.low <= n <= meaning.high for n in numbers)
    if meaning.choices:
        assert value in meaning.choices


@pytest.mark.parametrize(
    ('kind', 'field'), FIELDS, ids=[f'{k.__name__}.{f.name}' for k, f in FIELDS]
)
def test_each_parameter(kind, field):
    @fuzz(60)
    @given(value=near(field), running=st.booleans())
    def try_it(value, running):
        settings, refusal = attempt(lambda: changed(kind(), {field.name: value}, running=running))
        if refusal is not None:
            assert names_a_parameter(refusal, kind)
            return
        assert_valid(settings, field)
        use(settings)

    try_it()


@fuzz(300)
@given(
    changes=st.dictionaries(
        st.one_of(
            st.sampled_from([f.name for f in dataclasses.fields(PolicySettings)]), st.text()
        ),
        st.one_of(SCALARS, st.lists(st.floats(-12, 12), max_size=7).map(tuple)),
        max_size=6,
    ),
    running=st.booleans(),
)
def test_several_at_once_are_taken_as_a_whole_or_refused(changes, running):
    before = PolicySettings()
    after, refusal = attempt(lambda: changed(before, changes, running=running))
    if refusal is not None:
        assert any(name in refusal for name in changes) or names_a_parameter(
            refusal, PolicySettings
        )
        return
    assert all(getattr(after, name) == value for name, value in changes.items())
    for field in dataclasses.fields(after):
        assert_valid(after, field)
    use(after)


@fuzz(200)
@given(
    low=st.tuples(*[st.floats(-10, 10)] * 3),
    high=st.tuples(*[st.floats(-10, 10)] * 3),
    gripper=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_limits_that_contradict_each_other(low, high, gripper):
    changes = {
        'workspace_min': low,
        'workspace_max': high,
        'gripper_min': gripper[0],
        'gripper_max': gripper[1],
    }
    settings, refusal = attempt(lambda: changed(PolicySettings(), changes, running=True))
    if refusal is not None:
        assert 'workspace_min' in refusal or 'gripper_min' in refusal
        return
    assert settings.gripper_min <= settings.gripper_max
    assert low == high == (0, 0, 0) or all(a < b for a, b in zip(low, high, strict=True))
    use(settings)


def use(settings):
    """What the loop derives from valid settings can be derived."""
    if isinstance(settings, PolicySettings):
        decoding = settings.resolved(has_drafter=True).decoding
        assert settings.decoding_mode in ('auto', decoding.mode)
        assert len(decoding.acceptance_threshold) == 7
        assert settings.action_limits.translation >= 0
        assert (settings.motion_limits.velocity >= 0).all()
        assert settings.gripper_limits.low <= settings.gripper_limits.high
