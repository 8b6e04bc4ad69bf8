# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Buttons for people and programs: emergency stop, enable, stop, reset; there in every state."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from rclpy.clock import Clock
from rclpy.node import Node
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

from spec_vla_ros.ros.endpoints import beside, type_name
from spec_vla_ros.ros.hearing import Listener, MessageInfo, source_of
from spec_vla_ros.ros.names import sounds_like_a_stop

LOOK_PERIOD = 0.5
"""Seconds between two looks for publishers of the emergency stop that cannot be heard."""

_SAID_EVERY = 10.0  # seconds
_HEARS_EVERY = 0.05  # seconds; at 200 Hz, ten messages come meanwhile, as many as are kept

_OF_ITS_STATE = re.compile(r'(?:State|Status)(?:es|s|Array)?$')
"""How types of messages end that tell how something stands."""

Done = tuple[bool, str]
"""Whether it could be done, and in words what came of it."""


class Controls:
    """Opens the topic `emergency_stop` and the services `~/enable`, `~/stop`, `~/reset`.

    Args:
        node: whose they are.
        steady: a clock that runs whatever becomes of the node's own.
        emergency_stop: commands nothing but zero until reset; given who asked for it.
        not_heard: likewise, while somebody's emergency stop cannot be heard, or nobody publishes
            on ours and one goes to another topic, where nobody hears it; given who and why.
        in_force: returns whether the emergency stop is pressed.
        enable: begins to command, or ceases to (on=False).
        stop: lets go of the instruction.
        reset: releases the emergency stop, and tries again what was given up.
    """

    def __init__(
        self,
        node: Node,
        *,
        steady: Clock,
        emergency_stop: Callable[[str], None],
        not_heard: Callable[[str], None],
        in_force: Callable[[], bool],
        enable: Callable[..., Done],
        stop: Callable[[], Done],
        reset: Callable[[], Done],
    ) -> None:
        self._logger = node.get_logger()
        self.not_heard: tuple[str, ...] = ()
        """In words, each emergency stop that is gone, or goes elsewhere while ours is heard."""

        said_true: set[Hashable] = set()  # those that said it last
        buttons: set[str] = set()  # nodes that could press it
        pressed_by = ''  # who did first since the last reset

        def pressed(message: Bool, info: MessageInfo) -> None:
            nonlocal pressed_by
            if message.data:
                said_true.add(source_of(info))
                try:
                    if not pressed_by:
                        pressed_by = f'{listener.name_of(source_of(info))}, {listener.topic}'
                finally:  # whatever becomes of looking for the name
                    emergency_stop(pressed_by or listener.topic)
                return
            said_true.discard(source_of(info))
            if in_force():
                self._logger.warning(
                    f'false on {listener.topic} does not release the emergency stop: call the '
                    f'service {node.get_fully_qualified_name()}/reset',
                    throttle_duration_sec=_SAID_EVERY,
                )

        self._listener = listener = Listener(node, Bool, 'emergency_stop', pressed)

        def look() -> None:
            found, lost = listener.not_heard(), stops_elsewhere(node, listener.topic)
            one_is_heard = node.count_publishers(listener.topic) > 0
            buttons.update(listener.who_may_act())
            if one_is_heard:
                self.not_heard = tuple(lost)
            else:
                self.not_heard = _gone(sorted(buttons), listener.topic)
                found += lost
            if found:
                not_heard('; '.join(found))

        def release() -> Done:
            nonlocal pressed_by
            done, text = reset()
            pressed_by = ''
            buttons.clear()  # whoever resets has seen which are there
            who = ', '.join(listener.still_there(said_true))
            if not who:
                return done, text
            pressed_still = (
                f'{who} said true last on {listener.topic} and is still there: release the button'
            )
            self._logger.warning(pressed_still)
            return done, f'{text}; {pressed_still}'

        node.create_timer(LOOK_PERIOD, look, clock=steady)
        for kind, name, act in (
            (SetBool, 'enable', lambda request: enable(on=request.data)),
            (Trigger, 'stop', lambda request: stop()),
            (Trigger, 'reset', lambda request: release()),
        ):
            node.create_service(kind, f'~/{name}', self._answering(name, act))

    @contextmanager
    def hearing_meanwhile(self) -> Iterator[None]:
        """Hear the emergency stop while the executor's thread does something that takes long.

        Otherwise a button that was pressed for a moment, and says false again and again since,
        would push its true out of the queue of messages before anybody has heard it.
        """
        over = threading.Event()

        def hear() -> None:
            while not over.wait(_HEARS_EVERY):
                self._listener.hear_what_waits()

        thread = threading.Thread(target=hear, name='emergency stop', daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _answering(self, name: str, act: Callable[[Any], Done]) -> Callable[[Any, Any], Any]:
        def answer(request: Any, response: Any) -> Any:
            response.success, response.message = act(request)
            self._logger.info(f'service {name}: {response.message}')
            return response

        return answer


def _gone(buttons: list[str], topic: str) -> tuple[str, ...]:
    if not buttons:
        return ()
    are = 'is' if len(buttons) == 1 else 'are'
    return (
        f'{", ".join(buttons)} {are} gone, and nobody else publishes on {topic}: an emergency '
        'stop that is pressed there does nothing; start it again, or call the service reset to go '
        'on without',
    )


def stops_elsewhere(node: Node, topic: str) -> list[str]:
    """Return in words each emergency stop that goes to another topic, where nobody hears it.

    topic: ours, whole.
    """
    ours = type_name(Bool)
    return [
        f'{text}, and not on {topic}: '
        + (
            'remap emergency_stop, there or here'
            if kind == ours
            else f'publish {ours} on {topic}, there'
        )
        for text, kind in beside(node, topic, called=_presses)
    ]


def _presses(name: str, kind: str) -> bool:
    """Whether a topic may press an emergency stop; a message of its state does not."""
    return sounds_like_a_stop(name) and not _OF_ITS_STATE.search(kind)
