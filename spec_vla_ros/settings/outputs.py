# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Parameters of the policy node that choose how arm and gripper are commanded."""

from __future__ import annotations

from dataclasses import dataclass

from spec_vla_ros.settings.parameter import parameter

TWIST, POSE, MESSAGE = 'twist', 'pose', 'message'
SPEED, UNITLESS = 'speed', 'unitless'
POSITION, ACTION, PARALLEL, NONE = 'position', 'action', 'parallel_action', 'none'
GRIPPERS = (POSITION, ACTION, PARALLEL)
"""All gripper types but 'none'."""


@dataclass(frozen=True, kw_only=True)
class OutputSettings:
    """How arm and gripper are commanded."""

    command_type: str = parameter(
        "Commands to the arm: velocities on delta_twist_cmds ('twist'), targets on pose_target "
        "('pose', needs end_effector_pose), or none but the topic action ('message')",
        default=TWIST,
        choices=(TWIST, POSE, MESSAGE),
    )
    twist_units: str = parameter(
        "'speed': m/s and rad/s; 'unitless': divided by the scales, so that 1 is the fastest, as "
        'MoveIt Servo takes it by default',
        default=SPEED,
        choices=(SPEED, UNITLESS),
        only={'command_type': (TWIST,)},
    )
    twist_linear_scale: float = parameter(
        "The speed that is 1 in unitless twists; MoveIt Servo's scale.linear",
        default=0.4,
        unit='m/s',
        low=0.001,
        high=10.0,
        only={'twist_units': (UNITLESS,)},
    )
    twist_angular_scale: float = parameter(
        "The turning speed that is 1 in unitless twists; MoveIt Servo's scale.rotational",
        default=0.8,
        unit='rad/s',
        low=0.001,
        high=10.0,
        only={'twist_units': (UNITLESS,)},
    )
    gripper_type: str = parameter(
        "Commands to the gripper: positions on gripper_command ('position'), goals of the action "
        "gripper_cmd ('action', control_msgs/GripperCommand; 'parallel_action', "
        "control_msgs/ParallelGripperCommand), or none ('none')",
        default=POSITION,
        choices=(POSITION, ACTION, PARALLEL, NONE),
    )
    gripper_closed: float = parameter(
        'The position that closes the gripper',
        default=0.0,
        low=-1000.0,
        high=1000.0,
        only={'gripper_type': GRIPPERS},
    )
    gripper_open: float = parameter(
        'The position that opens the gripper',
        default=1.0,
        low=-1000.0,
        high=1000.0,
        only={'gripper_type': GRIPPERS},
    )
    gripper_max_effort: float = parameter(
        'Greatest effort in goals of the action gripper_cmd; 0: left out of goals of '
        "'parallel_action', so that the controller's own holds; 'action' sends 0, with which a "
        'controller of efforts moves nothing',
        default=0.0,
        unit='N',
        low=0.0,
        high=1000.0,
        only={'gripper_type': (ACTION, PARALLEL)},
    )

    def gripper_position(self, opening: float) -> float:
        """Return the position for an opening in [0, 1]."""
        return self.gripper_closed + opening * (self.gripper_open - self.gripper_closed)
