# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The policy node: camera and instruction in, end-effector commands out.

Callbacks store, the tick publishes, one worker infers; what a tick does is decided in
runtime/control_loop.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from spec_vla_ros.protocols import Policy
from spec_vla_ros.ros.controls import Controls, Done
from spec_vla_ros.ros.converters import compressed_to_rgb, image_to_rgb, same_pixels
from spec_vla_ros.ros.execute import ExecuteServer, Result
from spec_vla_ros.ros.inputs import Inputs
from spec_vla_ros.ros.load import make_policy as make_policy_here_or_there
from spec_vla_ros.ros.messages import latency_ms
from spec_vla_ros.ros.outputs import Outputs
from spec_vla_ros.ros.parameters import LiveSettings
from spec_vla_ros.ros.reports import Reports
from spec_vla_ros.ros.spin import spin_node
from spec_vla_ros.runtime.control_loop import ControlLoop
from spec_vla_ros.runtime.emergency_stop import EmergencyStop
from spec_vla_ros.runtime.halt import Halt, Reason
from spec_vla_ros.runtime.instruction import instruction_fault
from spec_vla_ros.runtime.process_policy import ProcessPolicy
from spec_vla_ros.runtime.settings import PolicySettings

PolicyFactory = Callable[[PolicySettings], Policy]

CLOCK_PATIENCE = 0.5  # seconds for which a simulated clock may stand still while the arm moves
WORKER_PATIENCE = 5.0  # seconds an inference gets to end when the node is cleaned up


class SpecVlaNode(LifecycleNode):
    """Camera and instruction in, end-effector commands out.

    Loads the policy in configure, publishes only while active, and has said "stand still" when it
    is no longer. Topics and parameters: docs/ros.md.

    Args:
        make_policy: loads and warms up the policy; what it raises fails the configuration.
        kwargs: for rclpy's Node.
    """

    def __init__(
        self, *, make_policy: PolicyFactory = make_policy_here_or_there, **kwargs: object
    ) -> None:
        super().__init__('spec_vla', **kwargs)
        self._make_policy = make_policy
        self._policy: Policy | None = None
        self._settings = LiveSettings(
            self, PolicySettings, on_change=self._on_settings, check=self._resolved
        )
        self._emergency = EmergencyStop()  # stays pressed through cleanup and configure
        self._loop: ControlLoop | None = None
        self._finished = self.create_guard_condition(self._on_finished)
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)  # runs whatever becomes of others
        self._ticker = self._watchdog = None
        self._ticked_at = 0.0
        self._controls = Controls(
            self,
            emergency_stop=self._emergency_stop,
            enable=self._enable,
            stop=self._stop,
            reset=self._reset,
        )

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the policy and open the topics."""
        try:
            self._policy = self._make_policy(self._settings.current)
        except Exception as error:  # rclpy would swallow it, and with it the reason
            return self._fail(f'cannot load the policy: {error}')
        try:
            settings = self._resolved(self._settings.current)
            self._outputs = Outputs(self, settings)
        except ValueError as error:
            return self._fail(f'cannot configure: {error}')
        self._say_how(settings)
        compressed = settings.image_transport == 'compressed'
        self._loop = ControlLoop(
            self._policy,
            to_rgb=compressed_to_rgb if compressed else image_to_rgb,
            settings=settings,
            same_pixels=same_pixels,
            supervisor=self._policy if isinstance(self._policy, ProcessPolicy) else None,
            emergency=self._emergency,
            on_finished=self._finished.trigger,
        )
        self._inputs = Inputs(
            self, self._loop, compressed=compressed, on_instruction=self._on_instruction
        )
        self._reports = Reports(
            self,
            self._loop,
            self._policy,
            settings=lambda: self._resolved(self._settings.current),
            inputs=self._inputs,
            steady=self._steady,
        )
        self._execute = ExecuteServer(
            self,
            refusal=self._refusal,
            begin=self._loop.store_instruction,
            end=lambda: self._loop.store_instruction(''),
        )
        self._reports.report(None, now_ns=self._now_ns())
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to publish."""
        result = super().on_activate(state)
        self._loop.stop()
        rate = self._settings.current.control_rate
        simulated = self.get_parameter('use_sim_time').value
        # Somebody may set the system's clock; commands go on all the same.
        clock = self.get_clock() if simulated else self._steady
        self._ticker = self.create_timer(1.0 / rate, self._on_tick, clock=clock)
        self._ticked_at = time.monotonic()
        if simulated:
            self._watchdog = self.create_timer(0.1, self._on_watchdog, clock=self._steady)
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

    def _resolved(self, settings: PolicySettings) -> PolicySettings:
        """Return the settings as they are in force; raises ValueError when they cannot be."""
        if self._policy is None:
            return settings
        return settings.resolved(has_drafter=self._policy.info.has_drafter)

    def _say_how(self, settings: PolicySettings) -> None:
        has = 'a drafter' if self._policy.info.has_drafter else 'no drafter'
        asked = self._settings.current.decoding_mode
        self.get_logger().info(
            f'decoding: {settings.decoding_mode} (decoding_mode is {asked!r}; {has} is loaded)'
        )

    def _on_instruction(self, text: str) -> None:
        self._execute.preempt(text)
        self._loop.store_instruction(text)

    def _refusal(self, instruction: str) -> str | None:
        """Return why an instruction cannot be carried out now."""
        if not self._active:
            return 'the node is not active'
        if self._emergency.pressed:
            return self._emergency.text
        if not instruction.strip():
            return 'the instruction is empty'
        return instruction_fault(instruction.strip())

    def _emergency_stop(self, source: str) -> None:
        if self._loop is None:
            self._emergency.press(source)
        else:
            self._loop.emergency_stop(source)
        self.get_logger().error(self._emergency.text)

    def _enable(self, *, on: bool) -> Done:
        if self._loop is None:
            return False, 'the node is not configured'
        if on == self._active:
            return True, f'was {"active" if on else "inactive"} already'
        done = self.trigger_activate() if on else self.trigger_deactivate()
        return done is TransitionCallbackReturn.SUCCESS, 'active' if on else 'inactive'

    def _stop(self) -> Done:
        if self._loop is None:
            return False, 'the node is not configured'
        self._execute.abort(Result.OUTCOME_STOPPED, 'stopped by service')
        self._loop.store_instruction('')
        return True, 'the instruction is cancelled'

    def _reset(self) -> Done:
        if self._loop is None:
            self._emergency.release()
        else:
            self._loop.reset()
        return True, 'the emergency stop is released, and what was given up is tried again'

    @property
    def _active(self) -> bool:
        return self._ticker is not None

    def _on_settings(self, settings: PolicySettings) -> None:
        if self._loop is not None:
            self._loop.apply(self._resolved(settings))

    def _on_finished(self) -> None:
        """Begin a new action at once, where the arm rests, instead of at the next tick."""
        if self._active and self._loop.at_rest:
            self._ticker.reset()  # its first command gets a whole period
            self._on_tick()

    def _on_watchdog(self) -> None:
        """Stand still while a simulated clock does."""
        silent = time.monotonic() - self._ticked_at
        told = self._reports.halt is not None
        told = told and self._reports.halt.reason is Reason.CLOCK_STOPPED
        if told or silent < CLOCK_PATIENCE:
            return
        now_ns = self._now_ns()
        self._loop.stop()
        self._outputs.stand_still(measured=self._loop.pose, now_ns=now_ns)
        text = f'the simulated clock has stood still for {silent:.1f} s'
        self._reports.log(Halt(Reason.CLOCK_STOPPED, text))
        self._reports.report(Halt(Reason.CLOCK_STOPPED, text), now_ns=now_ns)

    def _on_tick(self) -> None:
        self._ticked_at = time.monotonic()
        now_ns = self._now_ns()
        settings = self._settings.current
        tick = self._loop.tick(now_ns)
        self._outputs.publish(
            tick, dry_run=settings.dry_run, measured=self._loop.pose, now_ns=now_ns
        )
        self._reports.ticked(tick, dry_run=settings.dry_run, now_ns=now_ns)
        new = tick.new_action
        latency = None if new is None else latency_ms(new, now_ns=now_ns)
        self._execute.ticked(tick, latency_ms=latency)

    def _stand_still(self) -> None:
        """End the ticking with a zero twist; does nothing when it has ended."""
        if not self._active:
            return
        for timer in filter(None, (self._ticker, self._watchdog)):
            self.destroy_timer(timer)
        self._ticker = self._watchdog = None
        self._loop.stop()
        now_ns = self._now_ns()
        self._outputs.stand_still(measured=self._loop.pose, now_ns=now_ns)
        self._reports.report(None, now_ns=now_ns)
        self._execute.abort(Result.OUTCOME_DEACTIVATED, 'the node is no longer active')

    def _release(self) -> None:
        if self._loop is None:
            return
        for part in (self._execute, self._reports, self._inputs, self._outputs):
            part.close()
        if not self._loop.close(timeout=WORKER_PATIENCE):
            self.get_logger().error('an inference does not return; its thread is left behind')
        self._loop = self._policy = None

    def _fail(self, reason: str) -> TransitionCallbackReturn:
        """Say why the configuration fails, and let go of the policy."""
        self.get_logger().error(reason)
        if isinstance(self._policy, ProcessPolicy):
            self._policy.close()
        self._policy = None
        return TransitionCallbackReturn.FAILURE

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds


def main() -> None:
    """Run the policy node until it is interrupted or terminated."""
    spin_node(SpecVlaNode, before_exit=SpecVlaNode.halt)


if __name__ == '__main__':
    main()
