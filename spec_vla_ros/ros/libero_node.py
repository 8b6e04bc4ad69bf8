# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""LIBERO's Panda as a ROS node, with the topics and manners of the simulated robot.

Time is simulated and published on /clock: the simulator takes whole control periods of 50 ms, and
may need longer than that for one and its picture.
"""

from __future__ import annotations

from functools import partial

from rclpy.node import Node

from spec_vla_ros.ros.real_time_arm import VelocitySteps
from spec_vla_ros.ros.robot_time import SteppedTime
from spec_vla_ros.ros.sim_node import SimRobotNode, Simulation
from spec_vla_ros.ros.spin import read_command_line, spin_node
from spec_vla_ros.settings.nodes import LiberoRobotSettings
from spec_vla_ros.sim.libero.env import LiberoEnv

NAME = 'libero_robot'


def libero(node: Node, settings: LiberoRobotSettings) -> Simulation:
    """Return LIBERO's robot before the tasks of a suite, in time of its own.

    Raises:
        ValueError: LIBERO is not installed, or there is no such rotation.
    """
    env = LiberoEnv(
        settings.suite,
        image_size=settings.image_size,
        image_rotation=settings.image_rotation,
    )
    return Simulation(env, VelocitySteps(env), SteppedTime(node, interval=env.interval))


def main() -> None:
    """Run LIBERO's robot until it is interrupted or terminated."""
    read_command_line(
        "LIBERO's Panda: a camera over a scene, an arm that takes velocities, time on /clock.",
        node=NAME,
    )
    spin_node(partial(SimRobotNode, name=NAME, settings=LiberoRobotSettings, simulate=libero))


if __name__ == '__main__':
    main()
