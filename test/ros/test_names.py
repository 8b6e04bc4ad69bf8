# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Which topics are taken for an emergency stop by their names."""

import pytest

from spec_vla_ros.ros import names
from spec_vla_ros.ros.names import sounds_like_a_stop


@pytest.mark.parametrize(
    'name',
    [
        *('emergency_stop', 'estop', 'e_stop', 'EStop', 'emergency_stop_', 'kill_switch'),
        *('estop_button', 'emergency_stop_button', 'e_stop_pressed', 'EStopButton', 'estop_cmd'),
        *('robot_estop', 'hardware_estop', 'software_e_stop', 'soft_estop_signal'),
        *('hw_estop', 'wireless_e_stop', 'remote_emergency_stop', 'joy_estop', 'left_estop'),
        *('estop_switch', 'estop_triggered', 'e_stop_engaged', 'emergency_stop_request'),
        *('estop_input', 'right_estop_button_pressed', 'kill_switch_pressed'),
        *('safety_stop', 'protective_stop', 'runstop', 'run_stop', 'emergency_button'),
        *('panic_stop', '/estop/pressed', '/arm/estop/button', '/left_arm/emergency_stop'),
        *('estop_left', 'e_stop_2', 'emergency_stop_button_1', '/estop/left', '/estop/rear'),
        *('/safety/stop', '/emergency/stop', '/kill/switch', 'arm/e_stop'),
    ],
)
def test_an_emergency_stop_is_known_by_its_name(name):
    assert sounds_like_a_stop(name)


@pytest.mark.parametrize(
    'name',
    [
        *('emergency_stop_state', 'estop_status', 'e_stop_active', 'robot_state', 'pressed'),
        *('button', 'robot_cmd', 'gripper_cmd', 'soft', 'joint_states', 'robot_description', ''),
        *('stop_sign', '/cmd_stop', '/stop_sign/pressed', 'bus_stop', 'stop_line', 'end_stop'),
        *('/status/estop', '/estop/state', '/estop/status', '/estop/transition_event'),
        *('emergency_button_state', 'protective_stop_status', 'protective_stop_count', '/joy'),
        *('/joy/left/pressed', '/light/switch', '/trigger/input', '/robot/left/button', '/'),
    ],
)
def test_other_names_are_none(name):
    assert not sounds_like_a_stop(name)


def test_a_name_is_compared_once_though_all_topics_are_looked_through_again_and_again(monkeypatch):
    """To compare those of a large robot takes longer than from one command to the next."""
    topics = [f'/{topic}_of_a_large_robot' for topic in ('scan', 'plan', 'joint_states')]
    assert not any(map(sounds_like_a_stop, topics))
    monkeypatch.setattr(names, 'nearest', lambda *given, **options: pytest.fail('compared again'))
    assert not any(map(sounds_like_a_stop, topics))
