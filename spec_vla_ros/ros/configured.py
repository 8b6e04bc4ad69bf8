# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What the policy node has from *configure* to *cleanup*: the control loop and all its topics."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from contextlib import ExitStack

from rclpy.clock import Clock
from rclpy.lifecycle import LifecycleNode

from spec_vla_ros.control.loop import ControlLoop
from spec_vla_ros.control.preconditions import EmergencyStop
from spec_vla_ros.control.repeats import LONGEST_PAUSE
from spec_vla_ros.control.tick import Halt, Reason
from spec_vla_ros.inference.process_policy import ProcessPolicy
from spec_vla_ros.pixels import check_scene
from spec_vla_ros.ros.converters import compressed_to_rgb, image_to_rgb, same_pixels
from spec_vla_ros.ros.doubts import Doubts
from spec_vla_ros.ros.execute import ExecuteServer, Result
from spec_vla_ros.ros.inputs import Inputs, InstructionMemory
from spec_vla_ros.ros.messages import latency_ms
from spec_vla_ros.ros.no_effect import NoEffect
from spec_vla_ros.ros.outputs import Outputs, in_words
from spec_vla_ros.ros.overlay import Overlay
from spec_vla_ros.ros.reports import Reports
from spec_vla_ros.ros.status_topics import StatusTopics
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.types import Policy, instruction_fault

WORKER_PATIENCE = 5.0  # seconds an inference gets to end when the node is cleaned up


class Configured:
    """The control loop with its inputs, outputs, reports and goals.

    Args:
        node: the node that opens the topics.
        status_topics: they are made before this object, and outlive it.
        policy: the loaded policy.
        current: returns the settings in force.
        emergency: the emergency stop, which outlives this object, too.
        given: what is remembered of instructions; it outlives this object, too.
        active: returns whether the node is active.
        stops_not_heard: returns the emergency stops on other topics, in words.
        held_back: returns why the node may not be activated; empty if it may.
        on_finished: called from another thread when an inference has ended.
        steady: a clock that runs even if the node's own clock stands still.

    Raises:
        ValueError: the settings ask for what is not available here.
    """

    def __init__(
        self,
        node: LifecycleNode,
        policy: Policy,
        *,
        status_topics: StatusTopics,
        current: Callable[[], PolicySettings],
        emergency: EmergencyStop,
        given: InstructionMemory,
        active: Callable[[], bool],
        stops_not_heard: Callable[[], tuple[str, ...]],
        held_back: Callable[[], str],
        on_finished: Callable[[], None],
        steady: Clock,
    ) -> None:
        settings = current()
        self._node, self._policy, self._current = node, policy, current
        self._emergency, self._active = emergency, active
        compressed = settings.image_transport == 'compressed'
        to_rgb = compressed_to_rgb if compressed else image_to_rgb
        doubts = Doubts(node, settings)
        with ExitStack() as made:  # if one part cannot be made, those before it are closed
            self._outputs = Outputs(node, settings)
            made.callback(self._outputs.close)
            self.loop = ControlLoop(
                policy,
                to_rgb=lambda image: doubts.picture(check_scene(to_rgb(image))),
                settings=settings,
                same_pixels=same_pixels,
                supervisor=policy if isinstance(policy, ProcessPolicy) else None,
                emergency=emergency,
                on_finished=on_finished,
            )
            made.callback(lambda: self.loop.close(timeout=WORKER_PATIENCE))
            self._repeats = given.repeats
            self._inputs = inputs = Inputs(
                node,
                self.loop,
                compressed=compressed,
                on_instruction=self._on_instruction,
                given=given.messages,
                doubts=doubts,
            )
            made.callback(inputs.close)
            self._reports = Reports(
                node,
                status_topics,
                self.loop,
                policy,
                settings=current,
                inputs=inputs,
                outputs=self._outputs,
                stops_not_heard=stops_not_heard,
                held_back=held_back,
                steady=steady,
            )
            made.callback(self._reports.close)
            self._overlay = Overlay(node, self.loop, inputs, to_rgb=to_rgb, settings=settings)
            made.callback(self._overlay.close)
            self._execute = ExecuteServer(
                node,
                refusal=self._refusal,
                begin=lambda text: self.loop.store_instruction(text, anew=True),
                finish=self.loop.finish,
                at_rest=lambda: self.loop.at_rest,
                end=lambda: self.loop.store_instruction(''),
            )
            made.callback(self._execute.close)
            self._no_effect = NoEffect(node)
            self._no_effect.look(settings)
            self._reports.report(None, now_ns=self._now_ns())
            self._repeats.hears_again(time.monotonic())
            self._made = made.pop_all()

    def apply(self, settings: PolicySettings) -> None:
        """Use these settings from the next tick and the next inference on."""
        self.loop.apply(settings)
        self._no_effect.look(settings)

    @property
    def halt(self) -> Halt | None:
        """Why the arm stands still, as it was reported last; None while inactive."""
        return self._reports.halt

    def in_words(self) -> str:
        """Return what will be commanded, where, within which limits, and by which instruction."""
        outputs, before = self._outputs, self.loop.instruction
        words = in_words(self._current(), topic=outputs.topic, gripper=outputs.gripper)
        return words + (
            f'; goes on with the instruction given before: {before!r}' if before else ''
        )

    def tick(self) -> None:
        """Tick the control loop, and publish its commands; called at control rate."""
        now_ns, settings = self._now_ns(), self._current()
        self._execute.look_at_the_clock()
        tick = self.loop.tick(now_ns, target=self._outputs.target)
        new = tick.new_action
        measured = self.loop.known_pose(now_ns)
        self._outputs.command(tick, dry_run=settings.dry_run, measured=measured, now_ns=now_ns)
        if new is not None:
            self._outputs.publish_action(new, dry_run=settings.dry_run, now_ns=now_ns)
        self._reports.ticked(tick, dry_run=settings.dry_run, now_ns=now_ns)
        latency = None if new is None else latency_ms(new, now_ns=now_ns)
        self._execute.ticked(tick, latency_ms=latency)
        self._overlay.ticked(tick, now_ns=now_ns)

    def stand_still(self, halt: Halt | None) -> None:
        """Command the arm to stand still, as the last command, and report why.

        halt: the reason; None if the node becomes inactive.
        """
        now_ns = self._now_ns()
        self.loop.stop(halt)
        self._outputs.stand_still(measured=self.loop.known_pose(now_ns), now_ns=now_ns)
        if halt is not None:
            self._reports.log(halt)
        self._reports.report(halt, now_ns=now_ns)
        if halt is None:
            self._execute.abort(Result.OUTCOME_DEACTIVATED, 'the node is no longer active')

    def look_at_the_clock(self) -> None:
        """End a goal that is cancelled or whose time is over, also while there are no ticks."""
        self._execute.look_at_the_clock()

    def emergency_stop(self, source: str) -> None:
        """Command nothing but zero until reset, and cancel the gripper's goal, even without ticks.

        The goal of an instruction ends now, too: a reset may come before the next tick.
        source: who asked for it, in words.
        """
        self.loop.emergency_stop(source)
        self._outputs.emergency_stop()
        self._execute.abort(Result.OUTCOME_STOPPED, self._emergency.text)

    def reset(self) -> None:
        """Release the emergency stop; end the goal whose instruction is forgotten with that."""
        self.loop.reset()
        if not self.loop.instruction:
            text = 'a reset while the arm halted forgot the instruction'
            self._execute.abort(Result.OUTCOME_STOPPED, text)

    def stop(self) -> None:
        """Drop the instruction, and abort the goal that gave it."""
        self._execute.abort(Result.OUTCOME_STOPPED, 'stopped by service')
        self.loop.store_instruction('')

    def close(self) -> bool:
        """Close every topic; return whether the worker ended."""
        self._made.close()
        self._repeats.deaf_since(time.monotonic())
        return self.loop.close(timeout=0.0)  # which has been waited for

    def _on_instruction(self, text: str, source: Hashable) -> None:
        said, before, refused = text.strip(), self.loop.instruction, self._emergency.pressed
        # What is refused counts as said. Otherwise, after a reset the next copy would be taken.
        in_force = said if refused else before
        copy = self._repeats.is_copy(text, source=source, in_force=in_force, now=time.monotonic())
        if refused and said:
            self._node.get_logger().warning(
                f'{said!r} is not taken: {self._emergency.text}; give it again then',
                throttle_duration_sec=10.0,
            )
            return
        if copy:
            if said != before:
                self._node.get_logger().warning(
                    f'{said!r} is published again and again, and was ended or refused: it is not '
                    f'taken until its publisher pauses for {LONGEST_PAUSE:g} s or says something '
                    f'else; publish it once ({self._inputs.sources(Reason.NO_INSTRUCTION)})',
                    throttle_duration_sec=10.0,
                )
            return
        rival = None if said == before else self._repeats.rival(text, source=source)
        who = self._inputs.who_instructs
        if rival is not None:
            other, words = rival
            # In the same words whichever of them has just spoken, as they go into the log once.
            (one, this), (two, that) = sorted([(who(source), said), (who(other), words)])
            text = (
                f'{one} and {two} go on publishing {this!r} and {that!r}: neither '
                f'is followed until one of them pauses for {LONGEST_PAUSE:g} s; publish each once'
            )
            if before in ('', words):
                self.loop.refuse_instruction(text)
            else:  # what somebody else asks for
                self._node.get_logger().warning(text, throttle_duration_sec=10.0)
            return
        self._execute.preempt(text)
        self.loop.store_instruction(text, anew=True)
        if (now := self.loop.instruction) != before:
            done = f'instruction {now!r}, given' if now else 'the instruction is cancelled'
            self._node.get_logger().info(f'{done} by {who(source)}')

    def _refusal(self, instruction: str) -> str | None:
        """Return why a goal with this instruction cannot be accepted now, or None."""
        if not self._active():
            return 'the node is not active'
        if self._emergency.pressed:
            return self._emergency.text
        if not instruction.strip():
            return 'the instruction is empty'
        return instruction_fault(instruction.strip())

    def _now_ns(self) -> int:
        return self._node.get_clock().now().nanoseconds
