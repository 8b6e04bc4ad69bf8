# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Control of other nodes from sequential code, by a node that spins in the background."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.task import Future

from spec_vla_ros.ros.startup.logging_errors import with_way_on

RETRY_AFTER = 2.0
"""Seconds without an answer after which a request is repeated. A server that has not discovered
the client yet carries out the request, but cannot answer."""


class NoRosError(RuntimeError):
    """ROS cannot be started; the message says why."""


class RemoteNode:
    """Calls services of other nodes and waits for the answers; a context manager.

    Callbacks of its subscriptions run in the background thread.

    Args:
        name: name of the node that makes the calls.
        domain_id: the ROS domain; None for that of the environment.
        simulated_time: whether the node's clock follows /clock.
        while_waiting: called a few times per second while waiting; may raise to end the waiting.

    Raises:
        NoRosError: rclpy does not start.
    """

    def __init__(
        self,
        name: str,
        *,
        domain_id: int | None = None,
        simulated_time: bool = False,
        while_waiting: Callable[[], None] = lambda: None,
    ) -> None:
        self._while_waiting = while_waiting
        self._clients_by_name: dict[str, Client] = {}
        self._context = Context()
        try:
            self._context.init(domain_id=domain_id)
        except RuntimeError as error:
            raise NoRosError(with_way_on(error)) from error
        follow = Parameter('use_sim_time', value=simulated_time)
        self.node = Node(name, context=self._context, parameter_overrides=[follow])
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._spin, name=f'{name} spin', daemon=True)
        self._thread.start()

    def subscribe(
        self, kind: type, topic: str, callback: Callable[..., None], profile: QoSProfile
    ) -> None:
        """Call back for each message, in the background thread.

        A callback with two arguments also gets what rclpy tells about the message.
        """
        self.node.create_subscription(kind, topic, callback, profile)

    def call(
        self,
        kind: type,
        service: str,
        request: Any,
        *,
        timeout: float = 30.0,
        retry_after: float = RETRY_AFTER,
    ) -> Any:
        """Call a service and return its response; it must be harmless to call it twice.

        retry_after: seconds until the call is repeated; must be longer than an answer takes.
        Raises TimeoutError if the service does not appear or answer within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            future = self._send(kind, service, request, deadline)
            if self._answered(future, service, deadline, retry_after=retry_after):
                return self._result(future)

    def configure(self, node_name: str, *, timeout: float = 120.0) -> bool:
        """Configure a lifecycle node; return whether it succeeded."""
        return self._change(node_name, Transition.TRANSITION_CONFIGURE, 'inactive', timeout)

    def activate(self, node_name: str, *, timeout: float = 30.0) -> bool:
        """Activate a lifecycle node; return whether it succeeded."""
        return self._change(node_name, Transition.TRANSITION_ACTIVATE, 'active', timeout)

    def deactivate(self, node_name: str, *, timeout: float = 30.0) -> bool:
        """Deactivate a lifecycle node; return whether it succeeded."""
        return self._change(node_name, Transition.TRANSITION_DEACTIVATE, 'inactive', timeout)

    def clean_up(self, node_name: str, *, timeout: float = 30.0) -> bool:
        """Clean up a lifecycle node; return whether it succeeded."""
        return self._change(node_name, Transition.TRANSITION_CLEANUP, 'unconfigured', timeout)

    def state(self, node_name: str, *, timeout: float = 30.0) -> str:
        """Return the label of a lifecycle node's state."""
        response = self.call(
            GetState, f'{node_name}/get_state', GetState.Request(), timeout=timeout
        )
        return response.current_state.label

    def set_parameters(
        self, node_name: str, values: Mapping[str, Any], *, timeout: float = 30.0
    ) -> SetParametersResult:
        """Set parameters of a node, all or none; the result holds the reason for a refusal."""
        request = SetParametersAtomically.Request(
            parameters=[Parameter(n, value=v).to_parameter_msg() for n, v in values.items()]
        )
        service = f'{node_name}/set_parameters_atomically'
        return self.call(SetParametersAtomically, service, request, timeout=timeout).result

    def close(self) -> None:
        """Stop spinning and leave the domain."""
        self._closing.set()  # first, since a callback may be using what is destroyed here
        self._thread.join()
        self.node.destroy_node()
        self._context.try_shutdown()

    def _change(self, node_name: str, transition: int, goal: str, timeout: float) -> bool:
        """Request a transition, and repeat it if the request or the answer got lost."""
        deadline = time.monotonic() + timeout
        service = f'{node_name}/change_state'
        request = ChangeState.Request(transition=Transition(id=transition))
        while True:
            future = self._send(ChangeState, service, request, deadline)
            self._answered(future, service, deadline)
            # A node in transition does not answer, so this waits for the end of the transition.
            state = self.state(node_name, timeout=deadline - time.monotonic())
            if state == goal:
                return True  # though a repeated request may have been refused, being too late
            if self._answered(future, service, deadline):
                return bool(self._result(future).success)

    def _send(self, kind: type, service: str, request: Any, deadline: float) -> Future:
        if service not in self._clients_by_name:
            self._clients_by_name[service] = self.node.create_client(kind, service)
        client = self._clients_by_name[service]
        while not client.wait_for_service(0.2):
            self._keep_waiting(deadline, service)
        return client.call_async(request)

    def _answered(
        self, future: Future, service: str, deadline: float, *, retry_after: float = RETRY_AFTER
    ) -> bool:
        """Wait until there is an answer or it is time to repeat the request; return which."""
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        retry_at = time.monotonic() + retry_after
        while not done.wait(0.2):
            self._keep_waiting(deadline, service)
            if time.monotonic() > retry_at:
                return False
        return True

    @staticmethod
    def _result(future: Future) -> Any:
        """Return the answer, which must have arrived."""
        return future.result()

    def _keep_waiting(self, deadline: float, service: str) -> None:
        self._while_waiting()
        if time.monotonic() > deadline:
            raise TimeoutError(f'{service} did not answer in time: is its node running?')

    def _spin(self) -> None:
        try:
            while not self._closing.is_set():
                self._executor.spin_once(timeout_sec=0.1)
        except ExternalShutdownException:
            pass
        finally:
            self._executor.shutdown()

    def __enter__(self) -> RemoteNode:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
