# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The services enable, stop and reset, and the emergency stop, over DDS."""

import threading
from unittest.mock import Mock

import pytest
from harness import ScriptedPolicy, halted, running, twist_vector
from spec_vla_ros.msg import PolicyStatus
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger
from waiting import PATIENCE, wait_for, wait_for_line

from spec_vla_ros.ros import controls, qos

pytestmark = pytest.mark.dds
NODE = '/spec_vla'


class Buttons:
    def __init__(self, world):
        self._remote = world.remote
        self._stop = world.remote.node.create_publisher(Bool, 'emergency_stop', qos.LATCHED)

    def enable(self, *, on):
        return self._remote.call(SetBool, f'{NODE}/enable', SetBool.Request(data=on))

    def press(self, name):
        return self._remote.call(Trigger, f'{NODE}/{name}', Trigger.Request())

    def emergency_stop(self, *, on=True):
        self._stop.publish(Bool(data=on))


@pytest.fixture
def buttons(world):
    return Buttons(world)


@pytest.fixture
def moving(world, twists):
    world.policy_node(lambda settings: ScriptedPolicy())
    world.camera()
    world.instruct('go')
    twists.wait(is_moving)
    return world


def is_moving(twist):
    return bool(twist_vector(twist).any())


def test_enable_activates_and_disable_deactivates(moving, buttons, status, twists, stderr):
    assert buttons.enable(on=False).success
    assert moving.remote.state(NODE) == 'inactive'
    wait_for(lambda: not is_moving(twists.last), 'the last twist to be zero')
    count = len(twists.messages)
    assert buttons.enable(on=False).message == 'was inactive already'
    assert len(twists.messages) == count
    assert buttons.enable(on=True).success
    assert moving.remote.state(NODE) == 'active'
    twists.wait(is_moving)
    wait_for_line(stderr, 'goes on with the instruction given before')


def test_nothing_to_enable_before_configuring(world, buttons):
    world.policy_node(lambda settings: ScriptedPolicy(), active=False)
    for refused in (buttons.enable(on=True), buttons.press('stop')):
        assert not refused.success
        assert 'not configured' in refused.message
    assert world.remote.state(NODE) == 'unconfigured'


def test_stop_cancels_the_instruction_and_a_new_one_is_taken(moving, buttons, status, twists):
    assert buttons.press('stop').success
    status.wait(halted(PolicyStatus.REASON_NO_INSTRUCTION))
    assert not is_moving(twists.wait())
    moving.instruct('go on')
    twists.wait(is_moving)


def test_the_emergency_stop_stays_until_reset(moving, buttons, status, twists):
    buttons.emergency_stop()
    status.wait(halted(PolicyStatus.REASON_EMERGENCY_STOP))
    assert not is_moving(twists.wait())
    buttons.emergency_stop(on=False)  # does not release it
    moving.instruct('go on')
    assert buttons.enable(on=False).success
    assert moving.remote.clean_up(NODE)
    assert moving.remote.configure(NODE)
    assert buttons.enable(on=True).success
    status.wait(halted(PolicyStatus.REASON_EMERGENCY_STOP))
    assert buttons.press('reset').success
    status.wait(halted(PolicyStatus.REASON_NO_INSTRUCTION))  # nothing moves by itself
    moving.instruct('go again')
    twists.wait(is_moving)


def test_a_button_that_goes_on_saying_so_is_one_line_in_the_log(moving, buttons, status, stderr):
    for _ in range(5):
        buttons.emergency_stop()
    status.wait(halted(PolicyStatus.REASON_EMERGENCY_STOP))
    buttons.emergency_stop(on=False)
    wait_for_line(stderr, 'does not release')  # it has heard them all
    assert stderr().count(']: emergency stop (/observer, /emergency_stop), until reset') == 1


def test_what_does_not_release_it_is_told(moving, buttons, status, stderr):
    buttons.emergency_stop()
    status.wait(halted(PolicyStatus.REASON_EMERGENCY_STOP))
    buttons.emergency_stop(on=False)
    line = wait_for_line(stderr, 'does not release')
    assert 'false on /emergency_stop does not release the emergency stop: call the service' in line
    assert '/spec_vla/reset' in line
    moving.instruct('go on')
    line = wait_for_line(stderr, "'go on' is not taken")
    assert 'emergency stop (/observer, /emergency_stop), until reset; give it again then' in line


def test_a_reset_names_the_button_that_is_still_pressed(moving, buttons, status, stderr):
    person = moving.remote.node.get_fully_qualified_name()
    words = f'{person} said true last on /emergency_stop and is still there: release the button'
    buttons.emergency_stop()
    status.wait(halted(PolicyStatus.REASON_EMERGENCY_STOP))
    answer = buttons.press('reset')
    assert answer.success
    assert answer.message.endswith(words)
    assert '[WARN]' in wait_for_line(stderr, words)
    buttons.emergency_stop()
    wait_for(lambda: status.last.reason == PolicyStatus.REASON_EMERGENCY_STOP, 'it to be pressed')
    buttons.emergency_stop(on=False)
    wait_for_line(stderr, 'does not release')
    assert 'said true' not in buttons.press('reset').message


def test_it_can_be_pressed_before_configuring(world, buttons, status, twists):
    world.policy_node(lambda settings: ScriptedPolicy(), active=False)
    buttons.emergency_stop()
    assert world.remote.configure(NODE)
    assert world.remote.activate(NODE)
    status.wait(halted(PolicyStatus.REASON_EMERGENCY_STOP))
    assert buttons.press('reset').success
    world.camera()
    world.instruct('go')
    assert running(status.wait(running))
    twists.wait(is_moving)


def test_an_emergency_stop_for_a_moment_while_the_policy_loads_is_heard(
    world, buttons, status, twists, stderr
):
    """The button goes on saying false, which leaves nothing of its true in a queue of messages."""
    loading, loaded = threading.Event(), threading.Event()

    def make(settings):
        loading.set()
        assert loaded.wait(PATIENCE)
        return ScriptedPolicy()

    world.policy_node(make, active=False)
    world.camera()
    world.instruct('go')
    configuring = threading.Thread(target=world.remote.configure, args=(NODE,))
    configuring.start()
    assert loading.wait(PATIENCE)
    buttons.emergency_stop()
    wait_for_line(stderr, ']: emergency stop')
    for _ in range(50):
        buttons.emergency_stop(on=False)
    loaded.set()
    configuring.join()
    assert world.remote.activate(NODE)
    status.wait(halted(PolicyStatus.REASON_EMERGENCY_STOP))
    assert not is_moving(twists.wait())


def test_an_emergency_stop_is_pressed_though_nobody_can_say_by_whom(monkeypatch):
    heard, pressed = [], []
    unnamed = Mock(topic='/emergency_stop')
    unnamed.name_of.side_effect = ValueError('the graph does not answer')

    def listener(node, kind, topic, callback):
        heard.append(callback)
        return unnamed

    monkeypatch.setattr(controls, 'Listener', listener)
    others = dict.fromkeys(('steady', 'not_heard', 'in_force', 'enable', 'stop', 'reset'), Mock())
    controls.Controls(Mock(), emergency_stop=pressed.append, **others)
    with pytest.raises(ValueError, match='does not answer'):
        heard[0](Bool(data=True), {})
    assert pressed == ['/emergency_stop']
