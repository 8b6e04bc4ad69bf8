# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The settings tables: what is refused, and how it is said."""

import dataclasses

import pytest

from spec_vla_ros.settings.nodes import LiberoRobotSettings, PolicySettings, SimSettings
from spec_vla_ros.settings.parameter import changed, meaning_of, without_effect
from spec_vla_ros.types import Decoding


@pytest.mark.parametrize('kind', [PolicySettings, SimSettings, LiberoRobotSettings])
def test_defaults_are_valid_and_described(kind):
    settings = kind()
    assert changed(settings, dataclasses.asdict(settings), running=True) == settings
    for field in dataclasses.fields(kind):
        meaning = meaning_of(field)
        assert meaning.description
        assert (meaning.low is None) == (meaning.high is None)


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'image_timeout': 0.0}, r'image_timeout: 0.0 is outside \[0.05, 10\] s'),
        ({'image_timeout': float('nan')}, 'image_timeout: nan is outside'),
        ({'control_rate': 30}, 'control_rate: expected float, got int 30'),
        ({'dry_run': 1}, 'dry_run: expected bool, got int'),
        ({'torch_threads': True}, 'torch_threads: expected int, got bool'),
        ({'dtype': 'int3'}, "dtype: 'int3' is none of 'auto', 'float32'"),
        ({'command_frame': ''}, 'command_frame: must not be empty'),
        ({'command_frame': '/base_link'}, "begin without a slash: 'base_link'"),
        ({'command_frame': 'base_link '}, "'base_link ' is no frame of tf2, .* have no blanks"),
        ({'gripper_open': 0.0}, 'gripper_open: 0.0 is also gripper_closed'),
        (
            {'gripper_range': (1.0, 1.0)},
            r'gripper_range: \(1.0, 1.0\) are both the same; set what',
        ),
        (
            {'workspace_min': (0.6, 0.4, 0.4), 'workspace_max': (0.6, 0.4, 0.4)},
            r'workspace_min: \(0.6, 0.4, 0.4\) is also workspace_max, .* or both to 0 for no box',
        ),
        (
            {'workspace_min': (-0.3, -0.3, -0.1)},  # and workspace_max next: a box until then
            r'workspace_min: .* is half a box, .* set_parameters_atomically; .* origin, 0.001',
        ),
        (
            {'workspace_max': (0.3, 0.3, 0.5)},
            r'workspace_max=\(0.3, 0.3, 0.5\) is half a box',
        ),
        (
            {'gripper_open': 0.04, 'gripper_max': 0.04},
            'gripper_max: 0.04 is also gripper_open, .* is an opening from 0',
        ),
        (
            {'gripper_closed': 0.8, 'gripper_open': 0.0, 'gripper_min': 0.8},
            'gripper_min: 0.8 is also gripper_closed',
        ),
        ({'decoding_mode': 'Relaxed'}, "'Relaxed' is none of 'auto', 'autoregressive', 'strict'"),
        ({'acceptance_threshold': 65}, r'65 is outside \[0, 64\] bins'),
        ({'acceptance_threshold': 255}, r'255 is outside \[0, 64\] bins'),
        ({'acceptance_by_dimension': (255,) * 7}, r'255 is outside \[-1, 64\] bins'),
        ({'acceptance_by_dimension': (1, 2)}, '2 numbers given, 7 are needed'),
        ({'action_scale': None}, 'action_scale: nothing is given; leave it out'),
        ({'acceptance_by_dimension': (9,) * 6 + (-2,)}, r'-2 is outside \[-1, 64\] bins'),
        ({'colour': 'red'}, 'colour: no such parameter; there are checkpoint, '),
    ],
)
def test_bad_values_are_refused_with_the_valid_ones(changes, reason):
    with pytest.raises(ValueError, match=reason):
        changed(PolicySettings(), changes, running=False)


@pytest.mark.parametrize(
    'given',
    [
        {'gripper_max': 1.0},
        {'gripper_open': 0.04, 'gripper_max': 0.5},
        {'gripper_closed': 0.04, 'gripper_open': 0.0},
        {'gripper_type': 'none', 'gripper_open': 0.04, 'gripper_max': 0.04},
    ],
)
def test_openings_that_are_no_positions_are_taken(given):
    changed(PolicySettings(), given, running=False)


def test_what_needs_a_restart_is_refused_while_running():
    with pytest.raises(ValueError, match='device: read at start only'):
        changed(PolicySettings(), {'device': 'cuda'}, running=True)
    assert changed(PolicySettings(), {'device': 'cuda'}, running=False).device == 'cuda'


def test_live_ones_change():
    settings = changed(PolicySettings(), {'settle_time': 0.5, 'dry_run': True}, running=True)
    assert settings.settle_time == 0.5
    assert settings.dry_run
    assert settings.action_limits.translation == PolicySettings().max_step_translation


def test_thresholds_become_one_decoding():
    settings = changed(
        PolicySettings(),
        {
            'decoding_mode': 'relaxed',
            'acceptance_threshold': 4,
            'acceptance_by_dimension': (-1, 7, -1, -1, -1, 0, 0),
        },
        running=True,
    )
    assert settings.decoding == Decoding('relaxed', (4, 7, 4, 4, 4, 0, 0), temporal=True)


@pytest.mark.parametrize(
    ('changes', 'bins', 'told'),
    [
        ({}, (4,) * 6 + (0,), ('4 4 4 4 4 4 0', '-')),
        (
            {'acceptance_tolerance_translation': 0.002},
            (255, 255, 255, 4, 4, 4, 0),
            ('- - - 4 4 4 0', '0.002 0.002 0.002 - - - -'),
        ),
        (
            {'acceptance_tolerance_rotation': 0.0, 'acceptance_tolerance_translation': 0.001},
            (255,) * 6 + (0,),
            ('- - - - - - 0', '0.001 0.001 0.001 0 0 0 -'),
        ),
        (
            {
                'acceptance_tolerance_translation': 0.002,
                'acceptance_by_dimension': (-1, 7, -1, -1, 0, -1, 3),
            },
            (255, 7, 255, 4, 0, 4, 3),
            ('- 7 - 4 0 4 3', '0.002 0.002 0.002 - - - -'),
        ),
    ],
)
def test_tolerances_take_the_place_of_the_general_threshold(changes, bins, told):
    relaxed = {'decoding_mode': 'relaxed', 'acceptance_threshold': 4}
    settings = changed(PolicySettings(), relaxed | changes, running=True)
    assert settings.decoding.acceptance_threshold == bins
    for name in ('acceptance_tolerance_translation', 'acceptance_tolerance_rotation'):
        assert getattr(settings.decoding, name) == changes.get(name)
    names = ('acceptance thresholds [bins]', 'acceptance tolerances [m, rad]')
    assert settings.acceptance == dict(zip(names, told, strict=True))
    strict = changed(settings, {'decoding_mode': 'strict'}, running=True)
    assert set(strict.acceptance.values()) == {'-'}


@pytest.mark.parametrize(
    ('closed', 'opened', 'half'), [(255.0, 0.0, 127.5), (0.0, 850.0, 425.0), (0.0, 0.04, 0.02)]
)
def test_a_gripper_may_count_in_any_unit(closed, opened, half):
    """Of a register, in tenths of millimetres, in metres."""
    changes = {'gripper_closed': closed, 'gripper_open': opened}
    assert changed(PolicySettings(), changes, running=False).gripper_position(0.5) == half


@pytest.mark.parametrize(
    ('name', 'other_unit'),
    [('translation', 1.0), ('translation', 0.5), ('rotation', 1.0), ('rotation', 0.5)],
)
def test_tolerances_in_millimetres_or_degrees_are_refused(name, other_unit):
    """In metres and radians they would take whatever the drafter says."""
    changes = {'decoding_mode': 'relaxed', f'acceptance_tolerance_{name}': other_unit}
    with pytest.raises(ValueError, match=rf'{other_unit} is outside \[-1, 0\.\d+\] (m|rad)$'):
        changed(PolicySettings(), changes, running=True)


@pytest.mark.parametrize(
    ('mode', 'has_drafter', 'real'),
    [
        ('auto', True, 'relaxed'),
        ('auto', False, 'autoregressive'),
        ('autoregressive', True, 'autoregressive'),
        ('strict', True, 'strict'),
    ],
)
def test_auto_is_a_mode_that_works(mode, has_drafter, real):
    settings = PolicySettings(decoding_mode=mode).resolved(has_drafter=has_drafter)
    assert settings == PolicySettings(decoding_mode=real)
    assert settings.decoding.mode == real


@pytest.mark.parametrize('mode', ['strict', 'relaxed'])
def test_a_speculative_mode_without_a_drafter_is_refused(mode):
    with pytest.raises(ValueError, match=f"decoding_mode: '{mode}' needs a drafter, and none is"):
        PolicySettings(decoding_mode=mode).resolved(has_drafter=False)


@pytest.mark.parametrize(
    ('given', 'found'),
    [
        ({'gripper_type': 'none'}, ["gripper_type is 'none', command_type is 'twist'"]),
        ({'gripper_type': 'none', 'command_type': 'message'}, []),
        ({'gripper_type': 'position'}, []),
    ],
)
def test_a_parameter_that_counts_with_either_of_two_has_no_effect_without_both(given, found):
    texts = without_effect(PolicySettings(gripper_max=0.5, **given))
    assert texts == [f'gripper_max 0.5 has no effect: {why}' for why in found]
