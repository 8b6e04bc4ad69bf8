# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The policy node: camera and instruction in, end-effector commands out.

Callbacks store, the tick publishes, one worker infers; what a tick does is decided in
runtime/control_loop.py.
"""

from __future__ import annotations

from collections.abc import Callable

from geometry_msgs.msg import TwistStamped
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Float64, String

from spec_vla_ros.msg import PolicyStatus, VlaAction
from spec_vla_ros.protocols import Policy
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.converters import compressed_to_rgb, image_to_rgb, to_nanoseconds
from spec_vla_ros.ros.load import load_policy
from spec_vla_ros.ros.messages import (
    action_message,
    gripper_opening,
    status_message,
    twist_message,
)
from spec_vla_ros.ros.parameters import LiveSettings
from spec_vla_ros.ros.spin import spin_node
from spec_vla_ros.runtime.control_loop import ControlLoop, Tick
from spec_vla_ros.runtime.delta_schedule import zero_twist
from spec_vla_ros.runtime.halt import Halt, Reason
from spec_vla_ros.runtime.image_watch import NANOSECONDS
from spec_vla_ros.runtime.settings import PolicySettings

PolicyFactory = Callable[[PolicySettings], Policy]

STATUS_PERIOD_NS = NANOSECONDS
WORKER_PATIENCE = 5.0  # seconds an inference gets to end when the node is cleaned up


class SpecVlaNode(LifecycleNode):
    """Camera and instruction in, end-effector commands out.

    Loads the policy in configure, publishes only while active, and has said "stand still" when it
    is no longer. Topics and parameters: docs/ros.md.

    Args:
        make_policy: loads and warms up the policy; what it raises fails the configuration.
        kwargs: for rclpy's Node.
    """

    def __init__(self, *, make_policy: PolicyFactory = load_policy, **kwargs: object) -> None:
        super().__init__('spec_vla', **kwargs)
        self._make_policy = make_policy
        self._settings = LiveSettings(self, PolicySettings, on_change=self._on_settings)
        self._loop: ControlLoop | None = None
        self._ticker = None
        self._commanding = False
        self._reported: Halt | None = None
        self._report_due_ns = 0

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the policy and open the topics."""
        settings = self._settings.current
        try:
            policy = self._make_policy(settings)
        except Exception as error:  # rclpy would swallow it, and with it the reason
            self.get_logger().error(f'cannot load the policy: {error}')
            return TransitionCallbackReturn.FAILURE
        compressed = settings.image_transport == 'compressed'
        self._loop = ControlLoop(
            policy, to_rgb=compressed_to_rgb if compressed else image_to_rgb, settings=settings
        )
        self._twists = self.create_lifecycle_publisher(
            TwistStamped, 'delta_twist_cmds', qos.COMMAND
        )
        self._grippers = self.create_lifecycle_publisher(Float64, 'gripper_command', qos.COMMAND)
        self._actions = self.create_lifecycle_publisher(VlaAction, 'action', qos.COMMAND)
        self._status = self.create_publisher(PolicyStatus, 'status', qos.LATCHED)
        self._inputs = [
            self.create_subscription(String, 'instruction', self._on_instruction, qos.LATCHED),
            self.create_subscription(
                CompressedImage if compressed else Image,
                'image/compressed' if compressed else 'image',
                self._on_image,
                qos.CAMERA,
            ),
        ]
        self._report(None, now_ns=self._now_ns())
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to publish."""
        result = super().on_activate(state)
        self._loop.stop()
        rate = self._settings.current.control_rate
        self._ticker = self.create_timer(1.0 / rate, self._on_tick)
        self.get_logger().info(f'active: commands at {rate:g} Hz')
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Say "stand still", and then nothing more."""
        self._stand_still()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the topics and let go of the policy."""
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stand still and close everything, from whatever state."""
        self._stand_still()
        self._release()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go back to unconfigured after a transition that failed half-way."""
        self.get_logger().error(f'a transition from {state.label} failed')
        self._stand_still()
        self._release()
        return super().on_error(state)

    def halt(self) -> None:
        """Make the last command on the wire the zero twist, before the process ends."""
        self._stand_still()

    def _on_image(self, message: Image | CompressedImage) -> None:
        self._loop.store_image(
            message, stamp_ns=to_nanoseconds(message.header.stamp), now_ns=self._now_ns()
        )

    def _on_instruction(self, message: String) -> None:
        self._loop.store_instruction(message.data)

    def _on_settings(self, settings: PolicySettings) -> None:
        if self._loop is not None:
            self._loop.apply(settings)

    def _on_tick(self) -> None:
        now_ns = self._now_ns()
        tick = self._loop.tick(now_ns)
        self._command(tick, now_ns=now_ns)
        changed = self._reported is None or tick.halt.reason is not self._reported.reason
        if changed:
            self._log(tick.halt)
        # Set back, the clock would let the next report wait for the time it was.
        if changed or not 0 <= self._report_due_ns - now_ns <= STATUS_PERIOD_NS:
            self._report(tick.halt, now_ns=now_ns)

    def _command(self, tick: Tick, *, now_ns: int) -> None:
        settings = self._settings.current
        frame_id, new = settings.command_frame, tick.new_action
        if not settings.dry_run:
            self._twists.publish(twist_message(tick.twist, now_ns=now_ns, frame_id=frame_id))
        elif self._commanding:  # a dry run begins with the arm at rest
            stop = twist_message(zero_twist(), now_ns=now_ns, frame_id=frame_id)
            self._twists.publish(stop)
        self._commanding = not settings.dry_run
        if new is not None:
            if not settings.dry_run:
                self._grippers.publish(Float64(data=gripper_opening(new)))
            self._actions.publish(action_message(new, now_ns=now_ns, frame_id=frame_id))

    def _report(self, halt: Halt | None, *, now_ns: int) -> None:
        self._reported = halt
        self._report_due_ns = now_ns + STATUS_PERIOD_NS
        self._status.publish(
            status_message(
                halt,
                now_ns=now_ns,
                instruction=self._loop.instruction,
                counters=self._loop.counters,
            )
        )

    def _log(self, halt: Halt) -> None:
        if halt.reason is Reason.NONE:
            self.get_logger().info(f'running: {self._loop.instruction!r}')
        elif halt.reason is Reason.NO_INSTRUCTION:
            self.get_logger().info(f'waiting: {halt.text}')
        else:
            self.get_logger().warning(f'halted: {halt.text}')

    def _stand_still(self) -> None:
        """End the ticking with a zero twist; does nothing when it has ended."""
        if self._ticker is None:
            return
        self.destroy_timer(self._ticker)
        self._ticker = None
        self._loop.stop()
        settings, now_ns = self._settings.current, self._now_ns()
        if self._commanding:
            self._twists.publish(
                twist_message(zero_twist(), now_ns=now_ns, frame_id=settings.command_frame)
            )
            self._commanding = False
        self._report(None, now_ns=now_ns)

    def _release(self) -> None:
        if self._loop is None:
            return
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        for publisher in (self._twists, self._grippers, self._actions):
            self.destroy_lifecycle_publisher(publisher)
        self.destroy_publisher(self._status)
        if not self._loop.close(timeout=WORKER_PATIENCE):
            self.get_logger().error('an inference does not return; its thread is left behind')
        self._loop = None

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds


def main() -> None:
    """Run the policy node until it is interrupted or terminated."""
    spin_node(SpecVlaNode, before_exit=SpecVlaNode.halt)


if __name__ == '__main__':
    main()
