# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Runs one inference at a time, in a thread of its own, on the newest request.

Inference takes longer than a camera frame and must never run in a ROS callback. A newer request
replaces one that is still waiting, so that the answer is always about the latest image. A discard
makes everything asked so far void, including the running inference: its result is thrown away
when it comes, because the instruction that it was computed for no longer counts.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

_LOG = logging.getLogger(__name__)
Request = TypeVar('Request')
Result = TypeVar('Result')


@dataclass(frozen=True, slots=True)
class Finished(Generic[Request, Result]):
    """A request that has been answered.

    outcome: the result, or the exception that was raised instead. seconds: wall time of the call.
    """

    request: Request
    outcome: Result | Exception
    seconds: float


class InferenceWorker(Generic[Request, Result]):
    """Runs `infer` on the newest request, one at a time; safe to call from any thread.

    Args:
        infer: called in the worker's thread only; what it raises ends up in Finished.outcome.
        clock: monotonic seconds.
        on_finished: called in the worker's thread after each result that can be read.
    """

    def __init__(
        self,
        infer: Callable[[Request], Result],
        *,
        clock: Callable[[], float] = time.monotonic,
        on_finished: Callable[[], None] = lambda: None,
    ) -> None:
        self._infer = infer
        self._clock = clock
        self._on_finished = on_finished
        self._changed = threading.Condition()
        self._pending: Request | None = None
        self._finished: Finished[Request, Result] | None = None
        self._generation = 0
        self._started_at: float | None = None
        self._started_generation = 0
        self._discarded = 0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name='inference', daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> bool:
        """Ask for an inference; this replaces a request that has not begun.

        Returns False, and changes nothing, while an inference that has not been discarded is
        running, or its result has not been read. Raises RuntimeError if the worker is closed.
        """
        with self._changed:
            if self._closing:
                raise RuntimeError('the inference worker is closed')
            if self._busy():
                return False
            self._pending = request
            self._changed.notify_all()
            return True

    def poll(self) -> Finished[Request, Result] | None:
        """Return what has finished since the last poll, once; None when nothing has."""
        with self._changed:
            finished, self._finished = self._finished, None
            return finished

    def discard(self) -> None:
        """Make everything asked so far void, the running inference included."""
        with self._changed:
            self._generation += 1
            self._pending = None
            if self._finished is not None:
                self._finished = None
                self._discarded += 1

    @property
    def running_for(self) -> float:
        """For how many seconds the current call has been running, discarded or not; else 0."""
        with self._changed:
            return 0.0 if self._started_at is None else self._clock() - self._started_at

    @property
    def discarded(self) -> int:
        """How many results were thrown away because of a discard."""
        with self._changed:
            return self._discarded

    def close(self, *, timeout: float) -> bool:
        """Stop after the running inference; return whether it ended within `timeout` seconds."""
        self.discard()
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _busy(self) -> bool:
        running = self._started_at is not None and self._started_generation == self._generation
        return running or self._finished is not None

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._pending is not None)
                request, self._pending = self._pending, None
                if self._closing or request is None:
                    return
                generation = self._started_generation = self._generation
                started_at = self._started_at = self._clock()
            outcome: Result | Exception
            try:
                outcome = self._infer(request)
            except Exception as error:  # the reader decides what it means
                outcome = error
            except BaseException as error:  # SystemExit would end this thread without a word
                outcome = RuntimeError(f'{type(error).__name__}: {error}')
            with self._changed:
                self._started_at = None
                counts = generation == self._generation
                if counts:
                    seconds = self._clock() - started_at
                    self._finished = Finished(request, outcome, seconds)
                else:
                    self._discarded += 1
            if counts:
                try:
                    self._on_finished()
                except Exception:
                    _LOG.exception('the callback for finished inferences failed')


class Supervisor(Protocol):
    """Watches over the process in which inference runs; all methods but `close` return at once."""

    @property
    def trouble(self) -> str | None:
        """Why no inference can run now; None when one can."""

    @property
    def given_up(self) -> bool:
        """Whether none will run until `recover`."""

    @property
    def restarts(self) -> int:
        """How often inference had to be started again."""

    def kill(self) -> None:
        """End an inference that does not return; it is then started again."""

    def recover(self) -> None:
        """Start again after giving up."""

    def close(self) -> None:
        """End whatever runs."""


class Unsupervised:
    """The supervisor of a policy in this process: nothing to watch, and nothing to kill."""

    trouble: str | None = None
    given_up = False
    restarts = 0

    def kill(self) -> None:
        """Do nothing: a thread cannot be killed."""

    def recover(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
