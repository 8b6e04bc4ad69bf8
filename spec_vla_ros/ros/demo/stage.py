# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The simulated robot and the policy node as processes, in a ROS domain of their own."""

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
    """The nodes do not run; says why."""


class UncleanEndError(StageError):
    """The nodes did what they were asked, and one did not end by itself."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Robot and policy, both running.

    remote: a node of our own beside them. check: raises when they are not to go on, or can't.
    """

    remote: RemoteNode
    check: Callable[[], None]

    def set_mode(self, mode: str) -> str | None:
        """Have the policy decode that way from now on; return why it does not, None if it does."""
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
    """Start both nodes, bring them up, and stop them at the end.

    Their parameters are the shipped ones, but for the simulator's own.

    simulator: the robot, and the policy for it. logs: folder. check: called a few times a
    second while they start; raises to end the waiting. say: told what goes on.
    Raises StageError when they do not start, UncleanEndError when they do not end cleanly, and
    ChildFailedError from the stage's own check, which makes the given one too.
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
