# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""LIBERO's Panda as a ROS node that behaves like the simulated robot, with the same topics.

Time is simulated and published on /clock, because the simulator advances by whole control periods
of 50 ms, and may take longer than that to compute one and draw its picture.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from rclpy.node import Node

from spec_vla_ros.ros.robots.real_time_arm import VelocitySteps
from spec_vla_ros.ros.robots.robot_time import SteppedTime
from spec_vla_ros.ros.robots.sim_node import SimRobotNode, Simulation
from spec_vla_ros.ros.startup.spin import read_command_line, spin_node
from spec_vla_ros.settings.nodes import LiberoRobotSettings
from spec_vla_ros.sim.libero.env import LiberoEnv

NAME = 'libero_robot'


_LEAST_TURN = 1e-9  # radians; any rotation but zero sets a new goal


class StandsStill:
    """LIBERO's robot with a hand that stops turning when it is told to.

    LIBERO's controller takes a rotation of zero for no new goal, and goes on to the last one. So
    an arm that turns would go on turning at rest, four times as far as in motion. (A displacement
    of zero is a new goal for it.)

    Args:
        env: the robot.
    """

    def __init__(self, env: LiberoEnv) -> None:
        self._env = env

    @property
    def interval(self) -> float:
        """The control period, seconds."""
        return self._env.interval

    def step(self, action: np.ndarray) -> None:
        """Apply an action (7,), see `Steppable.step`, and let the control period pass."""
        turn = action[3:6] if action[3:6].any() else np.array([_LEAST_TURN, 0.0, 0.0])
        self._env.step(np.concatenate([action[:3], turn, action[6:]]))


def libero(node: Node, settings: LiberoRobotSettings) -> Simulation:
    """Return the simulation of LIBERO's robot with the tasks of a suite, in stepped time.

    Raises:
        ValueError: LIBERO is not installed, or there is no such image rotation.
    """
    env = LiberoEnv(
        settings.suite,
        image_size=settings.image_size,
        image_rotation=settings.image_rotation,
    )
    driven = VelocitySteps(StandsStill(env))
    return Simulation(env, driven, SteppedTime(node, interval=env.interval))


def main() -> None:
    """Run LIBERO's robot until it is interrupted or terminated."""
    read_command_line(
        "LIBERO's Panda: a camera over a scene, an arm that takes velocities, time on /clock.",
        node=NAME,
    )
    spin_node(partial(SimRobotNode, name=NAME, settings=LiberoRobotSettings, simulate=libero))


if __name__ == '__main__':
    main()
