# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Runs episodes over ROS: resets the robot, gives the instruction, and records what happens."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import Image
from std_msgs.msg import String

from spec_vla_ros.msg import DecodeStatistics, EpisodeStatus, PolicyStatus, VlaAction
from spec_vla_ros.ros import qos
from spec_vla_ros.ros.converters import image_to_rgb, to_nanoseconds
from spec_vla_ros.ros.demo.record import Record, ThinnedFrames
from spec_vla_ros.ros.demo.simulators import EpisodeStart, Simulator
from spec_vla_ros.ros.remote import RETRY_AFTER, RemoteNode
from spec_vla_ros.srv import ResetEpisode
from spec_vla_ros.types import NANOSECONDS

RATE_WINDOW = 60  # commands, over which their rate is measured
STANDSTILL = 60.0  # seconds after which a robot's time that stands still is an error
PATIENCE = 30.0  # seconds to wait for an answer, in addition to loading


class EpisodeError(RuntimeError):
    """An episode could not be run; the message says why."""


class EpisodeRunner:
    """Runs one episode at a time with the robot and the policy of a ROS domain.

    Args:
        remote: a node in that domain; its clock is the robot's time.
        simulator: the robot.
        on_progress: called a few times a second with the running episode and the command rate, Hz.
        check: called as often; may raise to end the episode.
    """

    def __init__(
        self,
        remote: RemoteNode,
        simulator: Simulator,
        *,
        on_progress: Callable[[Record, float], None],
        check: Callable[[], None],
    ) -> None:
        self._remote, self._simulator = remote, simulator
        self._on_progress = on_progress
        self._check = check
        self._lock = threading.Lock()
        self._running: Record | None = None
        self._began = 0.0
        self._robot: EpisodeStatus | None = None
        self._status: PolicyStatus | None = None
        self._image_stamp_ns = 0  # of the newest image
        self._thinned = ThinnedFrames[Image]()
        self._arrivals: deque[float] = deque(maxlen=RATE_WINDOW)
        self._sequences: list[int] = []  # sequence numbers of the running episode's actions
        # By sequence number, since statistics may come before their action.
        self._statistics: dict[int, DecodeStatistics] = {}
        self._instruct = remote.node.create_publisher(String, 'instruction', qos.LATCHED)
        remote.subscribe(EpisodeStatus, 'episode', self._on_episode, qos.LATCHED)
        remote.subscribe(PolicyStatus, 'status', self._on_status, qos.LATCHED)
        remote.subscribe(VlaAction, 'action', self._on_action, qos.COMMAND)
        remote.subscribe(DecodeStatistics, 'spec_vla/statistics', self._on_statistics, qos.COMMAND)
        remote.subscribe(TwistStamped, 'delta_twist_cmds', self._on_twist, qos.COMMAND)
        remote.subscribe(Image, 'image', self._on_image, qos.CAMERA)

    @property
    def command_rate(self) -> float:
        """Rate of the latest velocity commands, Hz."""
        with self._lock:
            arrivals = list(self._arrivals)
        if len(arrivals) < 2:
            return 0.0
        took = arrivals[-1] - arrivals[0]
        return (len(arrivals) - 1) / took if took > 0 else 0.0

    def run(self, start: EpisodeStart, *, time_limit: float | None = None) -> Record:
        """Run one episode until it succeeds or reaches a limit, and return its record.

        time_limit: seconds of the robot's time; None for the simulator's limit.

        Raises:
            EpisodeError: the robot refuses the instruction, the policy does not drop the last one,
                no image of the new episode comes, or the robot's time stands still.
        """
        simulator = self._simulator
        self._instruct.publish(String(data=''))
        self._until(
            lambda: (
                self._status is not None
                and self._status.reason == PolicyStatus.REASON_NO_INSTRUCTION
            ),
            'the policy to let go of the last instruction',
        )
        record = self._reset(start)
        with self._lock:
            self._sequences.clear()
            self._statistics.clear()
            self._thinned = ThinnedFrames[Image]()
            self._running, self._began = record, self._seconds()
        self._instruct.publish(String(data=record.instruction))
        limit = simulator.time_limit if time_limit is None else time_limit
        began, went_on = time.monotonic(), (time.monotonic(), record.seconds)
        while True:
            time.sleep(0.05)
            self._check()
            with self._lock:
                record.wall_seconds = time.monotonic() - began
                if not record.success:
                    record.seconds = self._seconds() - self._began
            self._on_progress(record, self.command_rate)
            if record.seconds > went_on[1]:
                went_on = (time.monotonic(), record.seconds)
            elif not record.success and time.monotonic() > went_on[0] + STANDSTILL:
                raise EpisodeError(f"the robot's time has stood still for {STANDSTILL:g} s")
            most = simulator.most_actions
            over = record.seconds > limit or (most is not None and record.steps >= most)
            if record.success or over:
                with self._lock:
                    self._running = None
                    self._add_phases(record)
                record.frames = [
                    (when, self._upright(image)) for when, image in self._thinned.frames
                ]
                record.halt = self._status.reason_text if self._status is not None else ''
                return record

    def _reset(self, start: EpisodeStart) -> Record:
        """Reset the robot, and wait for an image of the new episode."""
        request = ResetEpisode.Request(
            seed=start.seed, instruction=start.instruction, initial_state=start.initial_state
        )
        loading = self._simulator.loading
        response = self._remote.call(
            ResetEpisode,
            'reset',
            request,
            timeout=PATIENCE + loading,
            retry_after=RETRY_AFTER + loading,
        )
        if not response.success:
            raise EpisodeError(response.message)
        self._until(
            lambda: (
                self._robot is not None
                and self._robot.episode == response.episode
                and self._image_stamp_ns > to_nanoseconds(self._robot.header.stamp)
            ),
            'the robot to report the new episode, and a picture of it',
        )
        return Record(
            response.episode,
            start.seed,
            response.instruction,
            initial_state=start.initial_state,
            simulated_time=self._simulator.simulated_time,
        )

    def stop(self) -> None:
        """Cancel the instruction."""
        self._instruct.publish(String(data=''))

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        timeout = PATIENCE + self._simulator.loading
        deadline = time.monotonic() + timeout
        while not condition():
            self._check()
            if time.monotonic() > deadline:
                raise EpisodeError(f'waited {timeout:g} s in vain for {what}')
            time.sleep(0.01)

    def _upright(self, image: Image) -> np.ndarray:
        picture = image_to_rgb(image)
        return np.rot90(picture, 2) if self._simulator.upside_down else picture

    def _seconds(self) -> float:
        """Return the robot's time, seconds from any beginning."""
        if not self._simulator.simulated_time:
            return time.monotonic()
        nanoseconds: int = self._remote.node.get_clock().now().nanoseconds
        return nanoseconds / NANOSECONDS

    def _on_episode(self, message: EpisodeStatus) -> None:
        self._robot = message
        with self._lock:
            record = self._running
            if record is None or message.episode != record.number:
                return
            record.wrong_object = message.wrong_object
            if message.success and not record.success:
                record.success, record.seconds = True, self._seconds() - self._began

    def _on_status(self, message: PolicyStatus) -> None:
        self._status = message

    def _on_image(self, message: Image) -> None:
        with self._lock:
            self._image_stamp_ns = to_nanoseconds(message.header.stamp)
            if self._running is not None:
                self._thinned.add(self._seconds() - self._began, message)

    def _on_twist(self, message: TwistStamped) -> None:
        stamp = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
        with self._lock:
            self._arrivals.append(self._seconds())
            if self._running is not None:
                self._running.command_stamps.append(stamp)

    def _on_action(self, message: VlaAction) -> None:
        with self._lock:
            record = self._running
            if record is None or record.success or message.instruction != record.instruction:
                return
            record.action_seconds.append(self._seconds() - self._began)
            record.latency_ms.append(message.latency_ms)
            record.inference_ms.append(message.inference_ms)
            record.target_passes.append(message.target_passes)
            record.draft_passes.append(message.draft_passes)
            record.mode = message.decode_mode  # last, so that a reader who sees it has the rest
            self._sequences.append(message.sequence)

    def _on_statistics(self, message: DecodeStatistics) -> None:
        with self._lock:
            self._statistics[message.sequence] = message

    def _add_phases(self, record: Record) -> None:
        for sequence in self._sequences:
            found = self._statistics.get(sequence)
            if found is not None:
                phases = zip(found.phase_names, found.phase_ms, strict=True)
                record.phases_ms.append(dict(phases))
