# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The MuJoCo scene: a table, five coloured blocks, a floating parallel gripper and one camera.

The world frame is the robot's `base_link` (REP 103: x forward, y left, z up); its origin lies on
the table top in the middle of the workspace. The gripper body's origin is the grasp point between
the finger tips, so that a commanded rotation turns the gripper about the thing it holds.
"""

from __future__ import annotations

COLOURS: tuple[str, ...] = ('red', 'green', 'blue', 'yellow', 'purple')
"""The colours of all blocks; three of these are on the table in an episode."""

HELD_OUT_SEEDS = range(9_000_000, 9_100_000)
"""Seeds of scenes that are never used for training."""

_RGBA = {
    'red': '0.85 0.10 0.10 1',
    'green': '0.10 0.62 0.15 1',
    'blue': '0.10 0.20 0.85 1',
    'yellow': '0.92 0.82 0.10 1',
    'purple': '0.55 0.15 0.65 1',
}

BLOCK_HALF_SIZE = (0.036, 0.016, 0.020)
"""Half extents of a block, metres. The long side does not fit between the fingers."""

FINGER_TRAVEL = 0.032
"""Distance of each finger's inner face from the grasp point when open, metres."""

CAMERA = 'front'

_BLOCK = """
    <body name="{colour}" pos="{x} 1.5 0.02">
      <freejoint name="{colour}"/>
      <geom name="{colour}" type="box" size="{size}" rgba="{rgba}" mass="0.05"
            friction="1.0 0.02 0.001" condim="4"/>
    </body>"""

_FINGER = """
      <body name="{name}_finger" pos="0 {sign}0.006 0">
        <joint name="{name}_finger" type="slide" axis="0 {sign}1 0" range="0 {travel}"
               damping="4" armature="0.02"/>
        <geom type="box" size="0.011 0.006 0.030" pos="0 0 0.016" rgba="0.15 0.15 0.17 1"
              mass="0.03" friction="1.6 0.05 0.001" condim="4"/>
      </body>"""

_SCENE = """
<mujoco model="tabletop">
  <option timestep="0.004" integrator="implicitfast" cone="elliptic" impratio="10"/>
  <visual>
    <global offwidth="640" offheight="480"/>
    <quality shadowsize="0" offsamples="2"/>
    <headlight ambient="0.45 0.45 0.45" diffuse="0.35 0.35 0.35" specular="0 0 0"/>
  </visual>
  <worldbody>
    <light pos="0.3 0.3 1.5" dir="-0.2 -0.2 -1" diffuse="0.45 0.45 0.45" castshadow="false"/>
    <camera name="front" pos="0.60 0 0.58" xyaxes="0 1 0 -0.637 0 0.771" fovy="29.0"/>
    <geom name="table" type="plane" size="3 3 0.1" rgba="0.62 0.58 0.52 1"
          friction="0.9 0.02 0.001"/>
    <body name="target" mocap="true" pos="0 0 0.15"/>
    <body name="gripper" pos="0 0 0.15" gravcomp="1">
      <freejoint name="gripper"/>
      <geom type="box" size="0.018 0.050 0.010" pos="0 0 0.056" rgba="0.1 0.75 0.8 1" mass="0.3"
            contype="0" conaffinity="0"/>
      <geom type="cylinder" size="0.014 0.035" pos="0 0 0.100" rgba="0.95 0.95 0.95 1" mass="0.1"
            contype="0" conaffinity="0"/>
{fingers}
    </body>
{blocks}
  </worldbody>
  <contact>
    <exclude body1="left_finger" body2="right_finger"/>
  </contact>
  <equality>
    <weld body1="target" body2="gripper" solref="0.012 1" solimp="0.95 0.99 0.001"
          relpose="0 0 0 1 0 0 0"/>
  </equality>
  <actuator>
    <position name="left_finger" joint="left_finger" kp="220" ctrlrange="0 {travel}"
              forcerange="-6 6"/>
    <position name="right_finger" joint="right_finger" kp="220" ctrlrange="0 {travel}"
              forcerange="-6 6"/>
  </actuator>
</mujoco>
"""


def scene_xml() -> str:
    """Return the scene as MJCF text."""
    size = ' '.join(str(v) for v in BLOCK_HALF_SIZE)
    blocks = ''.join(
        _BLOCK.format(colour=c, x=0.2 * i - 0.4, size=size, rgba=_RGBA[c])
        for i, c in enumerate(COLOURS)
    )
    fingers = ''.join(
        _FINGER.format(name=name, sign=sign, travel=FINGER_TRAVEL)
        for name, sign in (('left', ''), ('right', '-'))
    )
    return _SCENE.format(fingers=fingers, blocks=blocks, travel=FINGER_TRAVEL)


def instruction_for(colour: str) -> str:
    """Return the instruction that asks for the block of this colour."""
    return f'pick up the {colour} block'


def colour_in(instruction: str) -> str:
    """Return the colour that an instruction asks for.

    Raises:
        ValueError: the instruction is unknown; the message lists the valid ones.
    """
    for colour in COLOURS:
        if instruction.strip().lower() == instruction_for(colour):
            return colour
    valid = ', '.join(repr(instruction_for(c)) for c in COLOURS)
    raise ValueError(f'unknown instruction {instruction!r}; valid instructions: {valid}')
