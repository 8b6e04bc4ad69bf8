# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Both simulated robots keep the protocol that closed loops ask of them."""

import inspect

import pytest

from spec_vla_ros.sim.env import TabletopEnv
from spec_vla_ros.sim.environment import Environment
from spec_vla_ros.sim.libero.env import LiberoEnv

ASKED = [name for name in vars(Environment) if not name.startswith('_')]


@pytest.mark.parametrize('kind', [TabletopEnv, LiberoEnv])
def test_whatever_closed_loops_ask_is_answered(kind):
    assert {'reset', 'step', 'render', 'outcome', 'max_steps', 'interval', 'close'} <= {*ASKED}
    for name in ASKED:
        asked, given = (
            inspect.getattr_static(Environment, name),
            inspect.getattr_static(kind, name),
        )
        assert isinstance(given, property) == isinstance(asked, property)
        if callable(asked):
            extra = inspect.signature(given).parameters.keys()
            assert inspect.signature(asked).parameters.keys() <= extra


def test_the_tabletop_has_no_published_initial_states():
    env = TabletopEnv(image_size=32)
    try:
        with pytest.raises(ValueError, match='initial state 3: the tabletop has none'):
            env.reset(initial_state=3)
        assert env.max_steps == 60
        assert env.interval == pytest.approx(0.16)
    finally:
        env.close()
