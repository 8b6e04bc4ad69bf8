# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The policy node: camera and instruction in, end-effector commands out.

Callbacks store, the tick publishes, one worker infers. `control/loop.py` decides what a tick does.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.timer import Timer

from spec_vla_ros.control.preconditions import EmergencyStop
from spec_vla_ros.control.tick import Halt, Reason
from spec_vla_ros.inference.process_policy import ProcessPolicy
from spec_vla_ros.programs import StopRequest, log_to_stderr
from spec_vla_ros.ros import load
from spec_vla_ros.ros.configured import Configured
from spec_vla_ros.ros.controls import Controls, Done
from spec_vla_ros.ros.gripper_outputs import require_gripper
from spec_vla_ros.ros.inputs import InstructionMemory
from spec_vla_ros.ros.names import POLICY_NAMES
from spec_vla_ros.ros.parameters import LiveSettings
from spec_vla_ros.ros.startup.spin import read_command_line, spin_node
from spec_vla_ros.ros.status_topics import StatusTopics
from spec_vla_ros.ros.ticker import USE_SIM_TIME, Ticker, keep_clock_while
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.types import Policy

PolicyFactory = Callable[[PolicySettings], Policy]

DESCRIPTION = """\
The policy node: camera and instruction in, end-effector commands out.

It is a lifecycle node, and loads and commands nothing before it is told to:
  ros2 lifecycle set /spec_vla configure     loads the checkpoint
  ros2 lifecycle set /spec_vla activate      begins to command
`ros2 launch spec_vla_ros spec_vla.launch.py` starts it and does both."""

CLOCK = '/clock'


class SpecVlaNode(LifecycleNode):
    """Camera and instruction in, end-effector commands out.

    It loads the policy in *configure* and publishes only while it is active; the last command is
    always to stand still. Topics and parameters: docs/reference/ros.md.

    Args:
        make_policy: loads and warms up the policy; what it raises fails the configuration.
        kwargs: for rclpy's Node.
    """

    def __init__(self, *, make_policy: PolicyFactory = load.make_policy, **kwargs: Any) -> None:
        super().__init__('spec_vla', **kwargs)
        self._make_policy = make_policy
        self._policy: Policy | None = None
        self._configured: Configured | None = None
        self._settings = LiveSettings(
            self,
            PolicySettings,
            names=POLICY_NAMES,
            on_change=self._on_settings,
            check=self._resolved,
            at_start=lambda: self._policy is None,
            arguments=kwargs.get('cli_args'),
        )
        keep_clock_while(self, lambda: self._active)
        self._in_force = self._settings.current
        self._emergency = EmergencyStop()  # stays pressed through cleanup and configure
        self._given = InstructionMemory()
        self._finished = self.create_guard_condition(self._on_finished)
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)  # nobody can set or stop it
        self._ticker: Ticker | None = None
        self._watchdog: Timer | None = None
        self._status_topics = StatusTopics(
            self, steady=self._steady, held_back=lambda: self._held_back
        )
        self._controls = Controls(
            self,
            steady=self._steady,
            emergency_stop=self._emergency_stop,
            not_heard=self._emergency_not_heard,
            in_force=lambda: self._emergency.pressed,
            enable=self._enable,
            stop=self._stop,
            reset=self._reset,
        )
        name = self.get_fully_qualified_name()
        self.get_logger().info(
            f'not configured; waits for `ros2 lifecycle set {name} configure`, then `activate`, '
            'which the launch files do by themselves'
        )

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the policy and open the topics."""
        try:
            require_gripper(self._settings.current)  # to read the weights takes minutes
        except ValueError as error:
            return self._fail(f'cannot configure: {error}')
        try:
            with self._controls.hearing_meanwhile():
                self._policy = self._make_policy(self._settings.current)
        except Exception as error:  # rclpy would swallow it, and with it the reason
            return self._fail(f'cannot load the policy: {error}')
        try:
            self._in_force = self._resolved(self._settings.current)
            self._configured = Configured(
                self,
                self._policy,
                status_topics=self._status_topics,
                current=lambda: self._in_force,
                emergency=self._emergency,
                given=self._given,
                active=lambda: self._active,
                stops_not_heard=lambda: self._controls.not_heard,
                held_back=lambda: self._held_back,
                on_finished=self._finished.trigger,
                steady=self._steady,
            )
        except Exception as error:
            return self._fail(f'cannot configure: {error}')
        self._status_topics.configured()
        self._say_how(self._policy)
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to publish; refused while parameters that were given have no effect."""
        if self._held_back:
            self.get_logger().error(f'cannot activate: {self._held_back}')
            return TransitionCallbackReturn.FAILURE
        result = super().on_activate(state)
        self._in_use.loop.stop()
        # Collect now, since the collector would delay commands later, and need not look again at
        # what is loaded.
        gc.collect()
        gc.freeze()
        simulated = self.get_parameter(USE_SIM_TIME).value
        # A steady clock, so that commands go on when somebody sets the system's clock.
        self._ticker = Ticker(
            self,
            rate=self._settings.current.control_rate,
            clock=self.get_clock() if simulated else self._steady,
            tick=self._in_use.tick,
            at_rest=lambda: self._in_use.loop.at_rest,
        )
        if simulated:
            self._watchdog = self.create_timer(0.1, self._on_watchdog, clock=self._steady)
        self.get_logger().info(f'active: {self._in_use.in_words()}')
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Say "stand still", and then nothing more."""
        self._stand_still()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the topics and let go of the policy."""
        self._release()
        self._status_topics.not_configured()
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
        self._status_topics.not_configured(f'a transition from {state.label} failed')
        return super().on_error(state)

    def halt(self) -> None:
        """Make a zero twist the last command on the wire, before the process ends."""
        self._stand_still()

    def destroy_node(self) -> None:
        """End the worker along with the node: its thread would keep the node's memory."""
        self._release()
        self._status_topics.close()
        super().destroy_node()

    @property
    def _in_use(self) -> Configured:
        """What *configure* made; only used by transitions and timers that come after it."""
        if self._configured is None:
            raise RuntimeError('the node is not configured')
        return self._configured

    @property
    def _active(self) -> bool:
        return self._ticker is not None

    @property
    def _held_back(self) -> str:
        """Why the node may not be activated; empty if it may."""
        wrong = self._settings.not_in_force
        if not wrong or self._settings.current.accept_unknown_parameters:
            return ''
        return (
            f'{"; ".join(wrong)}; correct it and start the node again, or set '
            'accept_unknown_parameters'
        )

    def _resolved(self, settings: PolicySettings) -> PolicySettings:
        """Return the settings with `decoding_mode: auto` resolved; ValueError if they conflict."""
        if self._policy is None:
            return settings
        return settings.resolved(has_drafter=self._policy.info.has_drafter)

    def _say_how(self, policy: Policy) -> None:
        has = 'a drafter' if policy.info.has_drafter else 'no drafter'
        asked, mode = self._settings.current.decoding_mode, self._in_force.decoding_mode
        self.get_logger().info(f'decoding: {mode} (decoding_mode is {asked!r}; {has} is loaded)')

    def _on_settings(self, settings: PolicySettings) -> None:
        self._in_force = self._resolved(settings)
        if self._configured is not None:
            self._configured.apply(self._in_force)

    def _on_finished(self) -> None:
        """Begin a new action at once if the arm rests, instead of at the next tick."""
        if self._ticker is not None:
            self._ticker.begin()

    def _on_watchdog(self) -> None:
        """Halt while the simulated clock stands still."""
        if self._ticker is None:
            return
        self._in_use.look_at_the_clock()
        silent, halt = self._ticker.silent_for, self._in_use.halt
        reported = halt is not None and halt.reason is Reason.CLOCK_STOPPED
        if reported or silent < self._in_force.clock_timeout:
            return
        text = f'the simulated clock has stood still for {silent:.1f} s'
        if not self.count_publishers(CLOCK):
            text = f'use_sim_time is set, and nobody publishes {CLOCK}'
        self._in_use.stand_still(Halt(Reason.CLOCK_STOPPED, text))

    def _emergency_stop(self, source: str) -> None:
        before = self._emergency.text
        if self._configured is None:
            self._emergency.press(source)
        else:
            self._configured.emergency_stop(source)
        if self._emergency.text != before:  # buttons may say so a hundred times a second
            self.get_logger().error(self._emergency.text)

    def _emergency_not_heard(self, who: str) -> None:
        """Press the emergency stop if one cannot be heard: whoever publishes it relies on it."""
        if not self._emergency.pressed:
            self._emergency_stop(who)

    def _enable(self, *, on: bool) -> Done:
        if self._configured is None:
            return False, 'the node is not configured'
        if on == self._active:
            return True, f'was {"active" if on else "inactive"} already'
        if on and self._held_back:
            return False, f'cannot activate: {self._held_back}'
        done = self.trigger_activate() if on else self.trigger_deactivate()
        if done is not TransitionCallbackReturn.SUCCESS:
            return False, 'the transition failed; the log says why'
        return True, 'active' if on else 'inactive'

    def _stop(self) -> Done:
        if self._configured is None:
            return False, 'the node is not configured'
        self._configured.stop()
        return True, 'the instruction is cancelled'

    def _reset(self) -> Done:
        text = 'the emergency stop is released, and what was given up is tried again'
        if self._configured is None:
            self._emergency.release()
            return True, text
        self._configured.reset()
        if not self._configured.loop.instruction:
            text += '; the arm waits for the next instruction'
        return True, text

    def _stand_still(self) -> None:
        """End the ticks with a zero twist; does nothing if they have ended."""
        if not self._active:
            return
        if self._ticker is not None:
            self._ticker.close()
        if self._watchdog is not None:
            self.destroy_timer(self._watchdog)
        self._ticker = self._watchdog = None
        self._in_use.stand_still(None)

    def _release(self) -> None:
        if self._configured is None:
            return
        if not self._configured.close():
            self.get_logger().error('an inference does not return; its thread is left behind')
        self._configured = self._policy = None
        gc.unfreeze()

    def _fail(self, reason: str) -> TransitionCallbackReturn:
        """Report why the configuration fails, and release the policy."""
        self.get_logger().error(reason)
        if isinstance(self._policy, ProcessPolicy):
            self._policy.close()
        self._policy = None
        self._status_topics.not_configured(reason)
        return TransitionCallbackReturn.FAILURE


def main() -> None:
    """Run the policy node until it is interrupted or terminated."""
    read_command_line(DESCRIPTION, node='spec_vla')
    log_to_stderr()
    told = StopRequest()  # to load a large checkpoint takes minutes
    make_policy = partial(load.make_policy, interrupted=lambda: told.came)
    spin_node(
        partial(SpecVlaNode, make_policy=make_policy),
        before_exit=SpecVlaNode.halt,
        told=told,
    )


if __name__ == '__main__':
    main()
