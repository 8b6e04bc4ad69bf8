# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How the fuzz tests draw their inputs.

The same inputs in every run, so that a failure is one of the change under test. To look for more,
`SPEC_VLA_FUZZ=20 pytest test -k fuzz` draws twenty times as many, at random.
"""

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

_TIMES = int(os.environ.get('SPEC_VLA_FUZZ', '1'))

JSON_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([7, 64, 2**31, 2**63, -(2**40), 10**30]),
    st.floats(),  # NaN and infinities too: Python's json reads them
    st.sampled_from(['', 'llama', 'resize-naive', '../../etc', '\x00', 'é\u2028']),
)
JSON_VALUES = st.recursive(
    JSON_SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


def attempt(call, error=ValueError):
    """Return (what a call returns, None) or (None, the message of the error it may raise).

    Any other exception fails the test, and so does an error that says nothing.
    """
    try:
        return call(), None
    except error as refusal:
        message = str(refusal)
    assert message.strip()
    return None, message


def fuzz(examples):
    """Hypothesis settings for a test with so many examples."""
    return settings(
        max_examples=examples * _TIMES,
        deadline=None,
        derandomize=_TIMES == 1,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def mutated_json(draw, content):
    """The content with one to three of its values, anywhere, replaced, removed or added to."""
    content = _copy(content)
    for _ in range(draw(st.integers(1, 3))):
        place = content
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and draw(st.integers(0, 3)):
                place = place[key]
                continue
            if draw(st.integers(0, 3)):
                place[key] = draw(JSON_VALUES)
            else:
                del place[key]
            break
    return content


@st.composite
def damaged_bytes(draw, content, *, first=0, last=None):
    """The bytes cut off, or with a few of those in [first, last) overwritten, or spliced."""
    last = len(content) if last is None else min(last, len(content))
    how = draw(st.sampled_from(['cut', 'overwrite', 'splice']))
    at = draw(st.integers(first, max(first, last - 1)))
    if how == 'cut':
        return content[:at]
    if how == 'splice':
        length = draw(st.integers(0, 64))
        return content[:at] + draw(st.binary(max_size=16)) + content[at + length :]
    damaged = bytearray(content)
    for _ in range(draw(st.integers(1, 8))):
        damaged[draw(st.integers(first, last - 1))] = draw(st.integers(0, 255))
    return bytes(damaged)


def _copy(content):
    if isinstance(content, dict):
        return {key: _copy(value) for key, value in content.items()}
    return [_copy(value) for value in content] if isinstance(content, list) else content
