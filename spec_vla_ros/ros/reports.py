# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What a configured policy node reports about itself: status, diagnostics and log."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from rclpy.clock import Clock
from rclpy.lifecycle import LifecycleNode

from spec_vla_ros.control.loop import ControlLoop
from spec_vla_ros.control.performance import Performance
from spec_vla_ros.control.tick import Halt, Reason, Tick
from spec_vla_ros.ros.diagnostics import Health, diagnostics_message, too_slow
from spec_vla_ros.ros.inputs import Inputs
from spec_vla_ros.ros.messages import latency_ms, status_message
from spec_vla_ros.ros.outputs import Outputs
from spec_vla_ros.ros.status_topics import DIAGNOSTICS_PERIOD, StatusTopics
from spec_vla_ros.ros.ticker import USE_SIM_TIME
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.settings.outputs import MESSAGE
from spec_vla_ros.types import NANOSECONDS, DecodeStats, Policy

STATUS_PERIOD_NS = NANOSECONDS


def is_news(halt: Halt, *, before: Halt) -> bool:
    """Whether a halt has another reason than the one before, or other words that somebody awaits.

    Most texts have figures that change at each tick; not those of a refused instruction, and of
    an inference process that is started again, or no more.
    """
    if halt.reason is not before.reason:
        return True
    settled = halt.lasting or halt.reason is Reason.WORKER_DOWN
    return settled and halt.text != before.text


class Reports:
    """Publishes the status at every change and once a second, and diagnostics once a second.

    Args:
        node: its log is written to.
        topics: publishes the messages.
        loop: gives the instruction and the counters.
        policy: gives its `info`.
        settings: returns the settings in force.
        inputs: know how many images were published and not seen, and who cannot be heard.
        outputs: know who cannot hear the commands, and who else gives commands.
        stops_not_heard: returns in words the emergency stops on other topics.
        held_back: returns why the node may not be activated; empty if it may.
        steady: the clock of the diagnostics, which runs on if the node's own clock stops.
    """

    def __init__(
        self,
        node: LifecycleNode,
        topics: StatusTopics,
        loop: ControlLoop,
        policy: Policy,
        *,
        settings: Callable[[], PolicySettings],
        inputs: Inputs,
        outputs: Outputs,
        stops_not_heard: Callable[[], tuple[str, ...]],
        held_back: Callable[[], str],
        steady: Clock,
    ) -> None:
        self._node, self._topics, self._loop, self._policy = node, topics, loop, policy
        self._settings, self._held_back = settings, held_back
        self._inputs, self._outputs = inputs, outputs
        self._stops_not_heard = stops_not_heard
        self._performance = Performance(now=time.monotonic())
        self.halt: Halt | None = None  # the one reported last; None means inactive
        self._not_heard: tuple[str, ...] = ()
        self._instruction = ''  # the one reported last
        self._drafting_off, self._draft_plan = False, ''  # those of the last action
        self._due_ns, self._late = 0, False
        self._timer = node.create_timer(DIAGNOSTICS_PERIOD, self._diagnose, clock=steady)

    def ticked(self, tick: Tick, *, dry_run: bool, now_ns: int) -> None:
        """Note the result of a tick, and report it if it is new or a report is due."""
        now, new = time.monotonic(), tick.new_action
        if not dry_run and self._settings().command_type != MESSAGE:
            # Ticks follow the node's clock only if it is simulated; otherwise a steady one.
            simulated = self._node.get_parameter(USE_SIM_TIME).value
            self._performance.command(now=now, clock=now_ns / NANOSECONDS if simulated else now)
        if new is not None:
            self._performance.action(
                new.action.stats,
                dimensions=len(new.action.values),
                latency_ms=latency_ms(new, now_ns=now_ns),
                inference_ms=new.inference_seconds * 1e3,
                now=now,
            )
            self._look_whether_it_drafts(new.action.stats)
        changed = self.halt is None or is_news(tick.halt, before=self.halt)
        if changed:
            self.log(tick.halt)
        # If the clock was set back, the next report must not wait until it has caught up.
        if changed or not 0 <= self._due_ns - now_ns <= STATUS_PERIOD_NS:
            self.report(tick.halt, now_ns=now_ns)

    def report(self, halt: Halt | None, *, now_ns: int) -> None:
        """Publish the status; halt: None if the node is inactive."""
        self.halt = halt
        self._due_ns = now_ns + STATUS_PERIOD_NS
        self._instruction = self._loop.instruction
        self._topics.publish_status(
            status_message(
                None if halt is None else self._in_full(halt),
                now_ns=now_ns,
                instruction=self._instruction,
                not_heard=self._not_heard,
                held_back=self._held_back(),
                drafting_off=self._drafting_off,
                draft_plan=self._draft_plan,
                counters=self._loop.counters,
            )
        )

    def log(self, halt: Halt) -> None:
        """Write into the log what the node is doing now."""
        logger = self._node.get_logger()
        if halt.reason is Reason.NONE:
            logger.info(f'running: {self._loop.instruction!r}')
        elif halt.reason is Reason.NO_INSTRUCTION:
            logger.info(f'waiting: {self._in_full(halt).text}')
        else:
            logger.warning(f'halted: {self._in_full(halt).text}')

    def close(self) -> None:
        """Stop reporting."""
        self._node.destroy_timer(self._timer)

    def _in_full(self, halt: Halt) -> Halt:
        """Return a halt whose text also tells which inputs or publishers may be its reason."""
        if halt.reason is Reason.NONE:
            return halt
        texts = [halt.text, self._inputs.sources(halt.reason), *self._not_heard]
        return dataclasses.replace(halt, text='; '.join(filter(None, texts)))

    def _look_whether_it_drafts(self, stats: DecodeStats) -> None:
        if stats.drafting_off and not self._drafting_off:
            self._node.get_logger().info(
                f'{stats.mode} decoding drafts nothing: no draft is worth its time on this '
                'device; draft_top_k fixes a tree all the same'
            )
        self._drafting_off, self._draft_plan = stats.drafting_off, stats.draft_plan

    def _look_what_is_new(self) -> None:
        before = self._not_heard
        unheard = self._inputs.not_heard() + self._stops_not_heard()
        self._not_heard = unheard + self._outputs.troubles()
        for text in self._not_heard:
            if text not in before:
                self._node.get_logger().error(text)
        # Without ticks (inactive, or the clock stands still) nobody else reports an instruction.
        if self._not_heard != before or self._loop.instruction != self._instruction:
            self.report(self.halt, now_ns=self._node.get_clock().now().nanoseconds)

    def _diagnose(self) -> None:
        self._look_what_is_new()
        counters = self._loop.counters
        health = Health(
            halt=None if self.halt is None else self._in_full(self.halt),
            settings=self._settings(),
            info=self._policy.info,
            counters=counters,
            summary=self._performance.summary(counters, now=time.monotonic()),
            images_missed=self._inputs.images_missed,
            not_heard=self._not_heard,
            held_back=self._held_back(),
            drafting_off=self._drafting_off,
            draft_plan=self._draft_plan,
        )
        running = self.halt is not None and self.halt.reason is Reason.NONE
        late = too_slow(health) if running else ''
        if late and not self._late:
            self._node.get_logger().warning(late)
        self._late = bool(late)
        self._topics.publish_diagnostics(
            diagnostics_message(
                health,
                node_name=self._node.get_fully_qualified_name(),
                now_ns=self._node.get_clock().now().nanoseconds,
            )
        )
