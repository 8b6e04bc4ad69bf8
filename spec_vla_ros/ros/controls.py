# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Buttons for people and programs: emergency stop, enable, stop, reset; there in every state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

from spec_vla_ros.ros import qos

Done = tuple[bool, str]
"""Whether it could be done, and in words what came of it."""


class Controls:
    """Opens the topic `emergency_stop` and the services `~/enable`, `~/stop`, `~/reset`.

    Args:
        node: whose they are.
        emergency_stop: commands nothing but zero until reset; given who asked for it.
        enable: begins to command, or ceases to (on=False).
        stop: lets go of the instruction.
        reset: releases the emergency stop, and tries again what was given up.
    """

    def __init__(
        self,
        node: Node,
        *,
        emergency_stop: Callable[[str], None],
        enable: Callable[..., Done],
        stop: Callable[[], Done],
        reset: Callable[[], Done],
    ) -> None:
        self._logger = node.get_logger()

        def pressed(message: Bool) -> None:
            if message.data:  # it is not released by topic
                emergency_stop('topic')

        node.create_subscription(Bool, 'emergency_stop', pressed, qos.LATCHED)
        for kind, name, act in (
            (SetBool, 'enable', lambda request: enable(on=request.data)),
            (Trigger, 'stop', lambda request: stop()),
            (Trigger, 'reset', lambda request: reset()),
        ):
            node.create_service(kind, f'~/{name}', self._answering(name, act))

    def _answering(self, name: str, act: Callable[[Any], Done]) -> Callable[[Any, Any], Any]:
        def answer(request: Any, response: Any) -> Any:
            response.success, response.message = act(request)
            self._logger.info(f'service {name}: {response.message}')
            return response

        return answer
