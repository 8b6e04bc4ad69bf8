# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The security policy against the real graph of the nodes, and what the processes listen on."""

import importlib.util
import socket
import sys
import time

import psutil
import pytest
from harness import new_world
from security_policy import allowed
from waiting import wait_for

pytestmark = [pytest.mark.dds, pytest.mark.slow]

BARE = 'import rclpy; rclpy.init(); rclpy.spin(rclpy.create_node("bare"))'
"""A node that does nothing: what it has open, DDS has opened."""

EVERYTHING = (
    'image_transport:=compressed',
    'command_type:=pose',
    'workspace_min:=[-0.2, -0.2, 0.0]',
    'workspace_max:=[0.2, 0.2, 0.3]',
    'use_sim_time:=true',
)
"""Parameters of the policy node that, with the default ones, open every topic there is."""

NEEDS_CONTROL_MSGS = {'/gripper_cmd'}


def start(world, *parameters):
    trees_are_fixed = 'draft_top_k:=4'  # so that nothing is measured to choose them
    arguments = [word for p in (trees_are_fixed, *parameters) for word in ('-p', p)]
    pids = {
        'spec_vla': world.process(
            'policy', 'spec_vla_ros.ros.policy_node', '--ros-args', *arguments
        ),
        'sim_robot': world.process(
            'robot',
            'spec_vla_ros.ros.robots.sim_node',
            '--ros-args',
            *('-p', 'image_transport:=both'),
            *('-p', f'use_sim_time:={str("use_sim_time:=true" in parameters).lower()}'),
        ),
    }
    assert world.remote.configure('/spec_vla')
    assert world.remote.activate('/spec_vla')
    return pids


def graph(world, node):
    """What a node does, in the shape of `allowed`."""
    ours = world.remote.node
    found = {}
    published, subscribed, replied, requested = (
        {name for name, _ in query(node, '/')}
        for query in (
            ours.get_publisher_names_and_types_by_node,
            ours.get_subscriber_names_and_types_by_node,
            ours.get_service_names_and_types_by_node,
            ours.get_client_names_and_types_by_node,
        )
    )
    for key, names in (
        (('topics', 'publish'), published),
        (('topics', 'subscribe'), subscribed),
        (('services', 'reply'), replied),
        (('services', 'request'), requested),
    ):
        found[key] = {name for name in names if '/_action/' not in name}
    for key, names in ((('actions', 'execute'), replied), (('actions', 'call'), requested)):
        found[key] = {name.partition('/_action/')[0] for name in names if '/_action/' in name}
    return found


def settled(world, node):
    """The graph once it has been discovered, and has not changed for a second."""
    wait_for(lambda: graph(world, node)['services', 'reply'], f'{node} to be discovered')
    before = None
    while before != (now := graph(world, node)):
        before = now
        time.sleep(1.0)
    return now


def together(*graphs):
    return {key: set.union(*(found[key] for found in graphs)) for key in graphs[0]}


@pytest.fixture(scope='module')
def running(tmp_path_factory):
    """Robot and policy as they are configured by default: their world, and their process ids."""
    with new_world(tmp_path_factory.mktemp('default')) as world:
        yield world, start(world)


def test_the_policy_grants_what_the_nodes_do_and_nothing_else(running, world):
    start(world, *EVERYTHING)  # another domain: nodes that have gone linger in the graph
    for node in ('spec_vla', 'sim_robot'):
        wanted = allowed(node)
        for _ in range(20):  # on a busy machine, discovery may pause before it is complete
            seen = together(settled(running[0], node), settled(world, node))
            if node == 'spec_vla' and importlib.util.find_spec('control_msgs') is None:
                seen['actions', 'call'] |= NEEDS_CONTROL_MSGS
            if all(seen[key] >= names for key, names in wanted.items()):
                break
        assert seen == wanted, node


def test_nothing_listens_but_dds(running):
    world, pids = running
    bare = world.children.start(
        'bare',
        [sys.executable, '-c', BARE],
        log=world.directory / 'bare.log',
        env={'ROS_DOMAIN_ID': str(world.domain_id)},
    )
    wait_for(lambda: ('bare', '/') in world.remote.node.get_node_names_and_namespaces())
    dds = range(7400 + 250 * world.domain_id, 7400 + 250 * (world.domain_id + 1))
    listening, others = {}, {}
    for name, pid in {**pids, 'bare': bare}.items():
        connections = psutil.Process(pid).net_connections(kind='inet')
        assert {c.type for c in connections} == {socket.SOCK_DGRAM}, name
        ports = [c.laddr.port for c in connections]
        listening[name] = sum(port in dds for port in ports)
        others[name] = len(ports) - listening[name]  # for sending, on any port
    assert listening['bare'] > 0
    assert set(listening.values()) == {listening['bare']}
    assert set(others.values()) == {others['bare']}


def test_the_inference_process_has_no_socket_at_all(running):
    _, pids = running
    children = psutil.Process(pids['spec_vla']).children(recursive=True)
    assert children
    for child in children:
        assert not child.net_connections(kind='inet')
