# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Domains are held by one at a time, and freed however the holder ends.

Where a test needs a certain one, it is none of those that tests beside it take for their nodes.
"""

import contextlib
import multiprocessing
import os
import socket

import pytest
from waiting import PATIENCE

from spec_vla_ros.ros import free_domain as module
from spec_vla_ros.ros.free_domain import DOMAINS, free_domain, keep_to_this_machine


def test_holders_get_different_domains(tmp_path):
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(free_domain(directory=tmp_path)) for _ in range(20)]
        assert len(set(held)) == 20
        assert all(domain in DOMAINS for domain in held)


def test_a_domain_is_free_again_afterwards(tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'DOMAINS', range(1, 2))
    for _ in range(2):
        with free_domain(directory=tmp_path) as domain:
            assert domain == 1
            with pytest.raises(RuntimeError, match='all 1 ROS domains are taken'):
                free_domain(directory=tmp_path).__enter__()


def test_an_error_in_the_body_is_passed_on_and_frees_the_domain(tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'DOMAINS', range(2, 3))
    for error in (PermissionError, BlockingIOError, ValueError):
        with pytest.raises(error), free_domain(directory=tmp_path):
            raise error


def _hold_and_die(directory, pipe):
    domain = free_domain(directory=directory)
    pipe.send(domain.__enter__())
    pipe.recv()


def test_a_killed_holder_frees_its_domain(tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'DOMAINS', range(3, 4))
    ours, theirs = multiprocessing.Pipe()
    holder = multiprocessing.get_context('fork').Process(
        target=_hold_and_die, args=(tmp_path, theirs)
    )
    holder.start()
    assert ours.poll(PATIENCE)
    assert ours.recv() == 3
    with pytest.raises(RuntimeError):
        free_domain(directory=tmp_path).__enter__()
    holder.kill()
    holder.join()
    with free_domain(directory=tmp_path) as domain:
        assert domain == 3


def test_a_domain_somebody_listens_in_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'DOMAINS', range(4, 6))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(('', 7400 + 250 * 4 + 10))
        for _ in range(4):
            with free_domain(directory=tmp_path) as domain:
                assert domain == 5


def test_nodes_to_come_keep_to_this_machine(monkeypatch):
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'SUBNET')
    monkeypatch.setenv('ROS_STATIC_PEERS', '192.0.2.1')
    keep_to_this_machine()
    assert os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
    assert 'ROS_STATIC_PEERS' not in os.environ
