# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Whether a node follows the simulated clock, which is not to change under what it commands."""

from __future__ import annotations

from collections.abc import Callable

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

USE_SIM_TIME = 'use_sim_time'


def keep_clock_while(node: Node, active: Callable[[], bool]) -> None:
    """Refuse another `use_sim_time` for as long as `active` says so.

    rclpy would change the clock at once. One that nobody publishes stands at zero for ever, by
    which no image ever grows old, and what watches a simulated clock is not there.
    """

    def check(parameters: list[Parameter]) -> SetParametersResult:
        now = node.get_parameter(USE_SIM_TIME).value
        if any(p.name == USE_SIM_TIME and p.value != now for p in parameters) and active():
            return SetParametersResult(
                successful=False,
                reason=f'{USE_SIM_TIME}: read when the node is activated; deactivate it first '
                f'(`ros2 lifecycle set {node.get_fully_qualified_name()} deactivate`)',
            )
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(check)  # comes before rclpy's own, which is older
