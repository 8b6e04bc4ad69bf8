# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Running episodes from outside: reset the robot, give the instruction, watch what happens."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import Image
from std_msgs.msg import String

from spec_vla_ros.msg import DecodeStatistics, EpisodeStatus, PolicyStatus, VlaAction
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.converters import image_to_rgb
from spec_vla_ros.ros.remote import RemoteNode
from spec_vla_ros.srv import ResetEpisode

RATE_WINDOW = 60  # commands


class EpisodeError(RuntimeError):
    """An episode could not be run; says why."""


@dataclass(slots=True)
class Record:
    """One episode as it was seen from outside.

    mode: how the actions were decoded. seconds: from the instruction to the end.
    latency_ms, inference_ms: one per action, from the image's stamp to the publishing of the
        action, and of the inference alone.
    target_passes, draft_passes: one per action, as in DecodeStatistics.
    phases_ms: of each action whose statistics came, by name of the phase.
    frames: (seconds since the instruction, (H, W, 3) uint8 RGB image), one per action.
    halt: why the policy stood still at the end, empty if it did not.
    """

    number: int
    seed: int
    instruction: str
    success: bool = False
    wrong_object: bool = False
    seconds: float = 0.0
    mode: str = ''
    halt: str = ''
    latency_ms: list[float] = field(default_factory=list)
    inference_ms: list[float] = field(default_factory=list)
    target_passes: list[int] = field(default_factory=list)
    draft_passes: list[int] = field(default_factory=list)
    phases_ms: list[dict[str, float]] = field(default_factory=list)
    command_stamps: list[float] = field(default_factory=list)
    frames: list[tuple[float, np.ndarray]] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """How many actions were executed."""
        return len(self.latency_ms)


class EpisodeRunner:
    """Runs one episode at a time on the robot and the policy of a domain.

    Args:
        remote: where to subscribe and call services.
        on_progress: called a few times a second with the running episode and the command rate.
        check: called as often; raises when the episode cannot go on.
    """

    def __init__(
        self,
        remote: RemoteNode,
        *,
        on_progress: Callable[[Record, float], None],
        check: Callable[[], None],
    ) -> None:
        self._remote = remote
        self._on_progress = on_progress
        self._check = check
        self._lock = threading.Lock()
        self._running: Record | None = None
        self._began = 0.0
        self._robot: EpisodeStatus | None = None
        self._status: PolicyStatus | None = None
        self._image: Image | None = None
        self._arrivals: deque[float] = deque(maxlen=RATE_WINDOW)
        self._sequences: list[int] = []  # of the running episode's actions
        self._statistics: dict[int, DecodeStatistics] = {}  # by sequence, may overtake the action
        self._instruct = remote.node.create_publisher(String, 'instruction', qos.LATCHED)
        remote.subscribe(EpisodeStatus, 'episode', self._on_episode, qos.LATCHED)
        remote.subscribe(PolicyStatus, 'status', self._on_status, qos.LATCHED)
        remote.subscribe(VlaAction, 'action', self._on_action, qos.COMMAND)
        remote.subscribe(DecodeStatistics, 'spec_vla/statistics', self._on_statistics, qos.COMMAND)
        remote.subscribe(TwistStamped, 'delta_twist_cmds', self._on_twist, qos.COMMAND)
        remote.subscribe(Image, 'image', self._on_image, qos.CAMERA)

    @property
    def command_rate(self) -> float:
        """Velocity commands per second lately."""
        with self._lock:
            arrivals = list(self._arrivals)
        if len(arrivals) < 2:
            return 0.0
        return (len(arrivals) - 1) / (arrivals[-1] - arrivals[0])

    def run(self, *, seed: int, instruction: str, time_limit: float) -> Record:
        """Run one episode and return what happened; it ends with success or the time limit.

        instruction: empty to have the seed choose one.
        Raises EpisodeError when the robot refuses the instruction or the policy does not start.
        """
        self._instruct.publish(String(data=''))
        self._until(
            lambda: (
                self._status is not None
                and self._status.reason == PolicyStatus.REASON_NO_INSTRUCTION
            ),
            'the policy to let go of the last instruction',
        )
        request = ResetEpisode.Request(seed=seed, instruction=instruction)
        response = self._remote.call(ResetEpisode, 'reset', request)
        if not response.success:
            raise EpisodeError(response.message)
        self._until(
            lambda: self._robot is not None and self._robot.episode == response.episode,
            'the robot to report the new episode',
        )
        record = Record(response.episode, seed, response.instruction)
        with self._lock:
            self._sequences.clear()
            self._statistics.clear()
            self._running, self._began = record, time.monotonic()
        self._instruct.publish(String(data=response.instruction))
        while True:
            time.sleep(0.05)
            self._check()
            robot, status = self._robot, self._status
            if robot is None or status is None:
                continue
            record.seconds = time.monotonic() - self._began
            record.success = robot.success
            record.wrong_object = robot.wrong_object
            self._on_progress(record, self.command_rate)
            if record.success or record.seconds > time_limit:
                with self._lock:
                    self._running = None
                    self._add_frame(record)
                    self._add_phases(record)
                record.halt = status.reason_text
                return record

    def stop(self) -> None:
        """Cancel the instruction."""
        self._instruct.publish(String(data=''))

    def _until(self, condition: Callable[[], bool], what: str, *, timeout: float = 30.0) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            self._check()
            if time.monotonic() > deadline:
                raise EpisodeError(f'waited {timeout:g} s in vain for {what}')
            time.sleep(0.01)

    def _on_episode(self, message: EpisodeStatus) -> None:
        self._robot = message

    def _on_status(self, message: PolicyStatus) -> None:
        self._status = message

    def _on_image(self, message: Image) -> None:
        self._image = message

    def _on_twist(self, message: TwistStamped) -> None:
        stamp = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
        with self._lock:
            self._arrivals.append(time.monotonic())
            if self._running is not None:
                self._running.command_stamps.append(stamp)

    def _on_action(self, message: VlaAction) -> None:
        with self._lock:
            record = self._running
            if record is None or message.instruction != record.instruction:
                return
            record.mode = message.decode_mode
            record.latency_ms.append(message.latency_ms)
            record.inference_ms.append(message.inference_ms)
            record.target_passes.append(message.target_passes)
            record.draft_passes.append(message.draft_passes)
            self._sequences.append(message.sequence)
            self._add_frame(record)

    def _on_statistics(self, message: DecodeStatistics) -> None:
        with self._lock:
            self._statistics[message.sequence] = message

    def _add_phases(self, record: Record) -> None:
        for sequence in self._sequences:
            found = self._statistics.get(sequence)
            if found is not None:
                phases = zip(found.phase_names, found.phase_ms, strict=True)
                record.phases_ms.append(dict(phases))

    def _add_frame(self, record: Record) -> None:
        if self._image is not None:
            elapsed = time.monotonic() - self._began
            record.frames.append((elapsed, image_to_rgb(self._image)))
