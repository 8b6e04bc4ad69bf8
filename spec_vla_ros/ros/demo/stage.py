# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Starts the simulated robot and the policy node as processes, in a ROS domain of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from spec_vla_ros.programs import all_of
from spec_vla_ros.ros.children import Children, node_command
from spec_vla_ros.ros.demo.simulators import Simulator
from spec_vla_ros.ros.free_domain import free_domain
from spec_vla_ros.ros.remote import RemoteNode

POLICY = '/spec_vla'


class StageError(RuntimeError):
    """The nodes cannot be used; the message says why."""


class UncleanEndError(StageError):
    """A node has done its work, but did not end cleanly."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A running robot and a running policy node.

    remote: a third node in their domain.
    check: raises if the run is to end, or if one of the processes has ended.
    """

    remote: RemoteNode
    check: Callable[[], None]

    def set_mode(self, mode: str) -> str | None:
        """Set the policy's parameter decoding_mode; return why it is refused, or None."""
        result = self.remote.set_parameters(POLICY, {'decoding_mode': mode})
        return None if result.successful else result.reason


@contextmanager
def stage(
    simulator: Simulator,
    *,
    logs: Path,
    check: Callable[[], None],
    say: Callable[[str], None] = lambda text: None,
) -> Iterator[Stage]:
    """Start both nodes, activate the policy, and stop them at the end.

    Their parameters are the shipped ones, except for those of the simulator.

    Args:
        simulator: the robot, and the policy for it.
        logs: folder for the nodes' output.
        check: called a few times a second while the nodes start, and by `Stage.check`; may raise
            to end the run.
        say: called with lines of progress.

    Raises:
        StageError: the policy node does not start.
        UncleanEndError: a node does not end cleanly.
        ChildFailedError: a process has ended by itself; also raised by `Stage.check`.
    """
    policy = {'checkpoint': simulator.checkpoint, 'observation_recipe': simulator.recipe}
    given = [f'{name}:={value}' for name, value in policy.items() if value]
    nodes = {
        simulator.node: (simulator.module, simulator.node, simulator.parameters),
        'policy_node': ('spec_vla_ros.ros.policy_node', simulator.policy_file, given),
    }
    with free_domain() as domain_id, Children() as children:
        check_all = all_of(check, children.check)
        say(f'ROS domain {domain_id}, on this machine only; logs in {logs}')
        for name, (module, file, parameters) in nodes.items():
            children.start(
                name,
                node_command(module, file=file, parameters=parameters),
                log=logs / f'{name}.log',
                env={'ROS_DOMAIN_ID': str(domain_id)},
            )
        with RemoteNode(
            'demo',
            domain_id=domain_id,
            simulated_time=simulator.simulated_time,
            while_waiting=check_all,
        ) as remote:
            say('loading the policy')
            if not (remote.configure(POLICY) and remote.activate(POLICY)):
                raise StageError(f'the policy node does not start, see {logs}/policy_node.log')
            yield Stage(remote, check_all)
            remote.deactivate(POLICY)
        for name, code in children.stop().items():
            if code != 0:
                raise UncleanEndError(f'{name} did not end cleanly: exit code {code}, see {logs}')
