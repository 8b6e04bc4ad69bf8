# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Remaps that rename nothing are told; what ROS allows is not."""

import pytest
from security_policy import allowed

from spec_vla_ros.ros.names import POLICY_NAMES, ROBOT_NAMES
from spec_vla_ros.ros.startup.remaps import OF_THE_NODE, malformed, remaps_in_no_force


def told(*rules, node='/spec_vla', flag='-r'):
    words = ['program', '--ros-args', *(word for rule in rules for word in (flag, rule))]
    names = {'names': POLICY_NAMES, 'parameters': ('dry_run', 'device')}
    return remaps_in_no_force(words, node=node, **names)


@pytest.mark.parametrize(
    ('rule', 'words'),
    [
        ('emergency_stopp:=/estop', 'did you mean emergency_stop?'),
        ('/emergency_stopp:=/estop', 'did you mean /emergency_stop?'),
        ('rostopic://imgae:=/cam', 'did you mean image?'),
        ('~/stopp:=/halt', 'did you mean'),
        ('velocity_command:=/cmd', 'there is no such topic, service or action'),
        ('dry_run:=true', 'dry_run is a parameter, which -p sets: -p dry_run:=true'),
        ('spec_vla_node:emergency_stop:=/estop', "the name of this node is 'spec_vla'"),
        ('other:__ns:=/lab', "the name of this node is 'spec_vla'"),
    ],
)
@pytest.mark.parametrize('flag', ['-r', '--remap'])
def test_a_remap_in_no_force_is_told(rule, words, flag):
    (problem,) = told(rule, flag=flag)
    assert problem.startswith(f'{flag} {rule} is in no force')
    assert words in problem


@pytest.mark.parametrize(
    ('name', 'meant'),
    [
        ('/lab/spec_vla/emergency_stop', 'emergency_stop'),
        ('/spec_vla/emergency_stop', 'emergency_stop'),
        ('/lab/policy_node/image', 'image'),
        ('/lab/spec_vla/image/compressed', 'image/compressed'),
        ('estop', 'emergency_stop'),
        ('e_stop', 'emergency_stop'),
        ('E-Stop', 'emergency_stop'),
    ],
)
def test_it_is_told_which_name_was_meant(name, meant):
    (problem,) = told(f'{name}:=/estop', node='/lab/spec_vla')
    assert problem.endswith(f'; did you mean {meant}?')


@pytest.mark.parametrize(
    ('first', 'second'),
    [
        ('emergency_stop:=/estop', 'emergency_stop:=/estop2'),
        ('/lab/emergency_stop:=/estop', 'emergency_stop:=/estop2'),
        ('emergency_stop:=/estop', 'spec_vla:emergency_stop:=/estop2'),
        ('image:=image', 'image:=/cam'),
    ],
)
def test_of_two_remaps_of_one_name_the_second_is_told(first, second):
    (problem,) = told(first, second, node='/lab/spec_vla')
    assert problem.startswith(f'-r {second} is in no force: ROS takes the first, -r {first}')


@pytest.mark.parametrize(
    ('first', 'second'),
    [
        ('image:=/cam', 'image:=/cam'),
        ('spec_vla:image:=/cam', 'image:=/other'),
        ('image:=/cam', 'camera:image:=/other'),
        ('image:=/cam', 'image:=image'),
        ('diagnostics:=/robot/health', 'diagnostics:=/diagnostics'),
    ],
)
def test_two_remaps_of_one_name_may_be_meant(first, second):
    """The last two: what SetRemap around the launch file and its own defaults make."""
    assert told('spec_vla:instruction:=/say', first, second, node='/lab/spec_vla') == []


@pytest.mark.parametrize(
    ('theirs', 'ours'),
    [
        ('/safety/stop_button', 'emergency_stop'),
        ('/safety/stop_button', '/lab/emergency_stop'),
        ('/camera/color/image_raw', 'image'),
        ('/ee_pose', 'end_effector_pose'),
        ('/robot/cartesian_cmd', 'delta_twist_cmds'),
        ('/prompt', 'instruction'),
        ('estop', 'emergency_stop'),
        ('/halt', '~/stop'),
    ],
)
def test_a_remap_the_wrong_way_round_is_told(theirs, ours):
    """The node would hear its own name, and nobody would press that button."""
    (problem,) = told(f'{theirs}:={ours}', node='/lab/spec_vla')
    assert problem.endswith(f'; it is the wrong way round: write {ours}:={theirs}')


@pytest.mark.parametrize(
    'rule',
    [
        *(f'{name}:=x' for name in (*OF_THE_NODE, *POLICY_NAMES)),
        'spec_vla:image:=/cam',
        '/lab/image:=/cam',
        '/lab/spec_vla/enable:=/enable',
        'spec_vla/enable:=/enable',
        'rosservice://~/enable:=/enable',
        'rostopic://image:=/cam',
        'gripper_cmd/_action/send_goal:=/gripper/send_goal',
        '/tf:=tf',
        'tf_static:=/robot/tf_static',
        '/scan:=/lidar',
        '/scan:=/image',
        '/conveyor/emergency_stop:=/estop',
        '/other/spec_vla/emergency_stop:=/estop',
        '/lab/spec_vla/camera_info:=/info',
    ],
)
def test_what_ros_allows_is_not_told(rule):
    assert told(rule, node='/lab/spec_vla') == []


@pytest.mark.parametrize(
    ('rule', 'words'),
    [
        ('image:=/camera//image', "'/camera//image' is no name of ROS"),
        ('image:=/camera/image/', 'in parts between single slashes'),
        ('image:=', "'' is no name of ROS"),
        ('delta_twist_cmds:=/cmd vel', 'letters, digits and underscores'),
        ('instruction:=/1st', 'begin with no digit'),
        ('__ns:=/left-arm', "'/left-arm' is no name of ROS"),
        ('__ns:=left_arm', 'a namespace begins with a slash: /left_arm'),
        ('__node:=my-node', "'my-node' is no name of ROS"),
        ('image', 'write NAME:=OTHER'),
    ],
)
def test_what_is_no_name_is_told_with_the_reason(rule, words):
    (problem,) = malformed(['program', '--ros-args', '-r', rule])
    assert problem.startswith(f'-r {rule}: ')
    assert words in problem


@pytest.mark.parametrize(
    'rule',
    ['image:=/a/b_1', 'image:=a', 'spec_vla:image:=~/a', '__ns:=/', '__ns:=/a', 'a:=/{node}_x/b'],
)
def test_what_is_a_name_is_not_told(rule):
    assert malformed(['program', '--ros-args', '-r', rule]) == []


def test_a_whole_name_must_be_in_the_nodes_namespace():
    (problem,) = told('/image:=/cam', node='/lab/spec_vla')
    assert 'did you mean /lab/image?' in problem


def test_remaps_of_many_nodes_by_name_are_theirs():
    mine = 'spec_vla:image:=/cam'
    assert told(mine, 'camera:image:=/cam', 'spec_vla_2:image:=/other') == []
    (problem,) = told(mine, 'policy_node:emergency_stop:=/estop')
    assert problem.startswith('-r policy_node:emergency_stop')


@pytest.mark.parametrize(
    ('names', 'node'),
    [(POLICY_NAMES, 'spec_vla'), (ROBOT_NAMES, 'sim_robot'), (ROBOT_NAMES, 'libero_robot')],
)
def test_the_names_are_those_that_the_security_policy_lists(names, node):
    listed = set().union(*allowed(node).values())
    assert {f'/{node}{n[1:]}' if n[0] == '~' else f'/{n.lstrip("/")}' for n in names} == listed
