# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""One run of the inference process, as its parent sees it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from typing import Any

from spec_vla_ros.inference.wire import (
    InferenceFailedError,
    ProcessEndedError,
    SharedImage,
    channel_pair,
    restored_action,
    restored_info,
)
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.types import Action, Decoding, InstructionError, Observation, PolicyInfo


class PolicyChild:
    """Starts the process, and talks to it.

    Call `wait_ready`, then `infer` as often as needed, one call at a time; then `kill`, `wait` and
    `close`. The thread that makes this object must live until the process has ended, see
    `programs.DieWithParent`.

    Args:
        factory: 'package.module:function', called in the process with the settings.
        settings: of the policy node.
    """

    def __init__(self, factory: str, settings: PolicySettings) -> None:
        self._channel, theirs = channel_pair()
        with contextlib.ExitStack() as unless_started, theirs:
            unless_started.callback(self._channel.close)
            self._image = SharedImage()
            unless_started.callback(self._image.close)
            descriptors = (theirs.fileno(), self._image.descriptor)
            self._process = subprocess.Popen(
                [
                    *(sys.executable, '-m', 'spec_vla_ros.inference.process_main'),
                    *map(str, (*descriptors, os.getpid())),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=descriptors,
                env={**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,
            )
            unless_started.pop_all()
        self.info = PolicyInfo()  # the latest that the policy has sent
        self._in_use = threading.Lock()
        self._closed = self._killed = False
        with contextlib.suppress(OSError):  # the process ended at once, as wait_ready will see
            self._channel.send({'factory': factory, 'settings': settings})

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def wait_ready(self, *, timeout: float) -> None:
        """Wait until the policy is loaded.

        Raises InferenceFailedError with the reason when it cannot be, ProcessEndedError when the
        process ends meanwhile, and TimeoutError when it takes longer than `timeout` seconds.
        """
        answer = self._channel.receive(timeout=timeout)
        if answer is None:
            raise ProcessEndedError(self.wait())
        if 'error' in answer:
            raise InferenceFailedError(answer['error'])
        self.info = restored_info(answer['info'])

    def infer(self, observation: Observation, decoding: Decoding, *, reset: bool) -> Action:
        """Return the action for this observation.

        reset: forget everything kept from earlier observations first.
        Raises InferenceFailedError, InstructionError and ProcessEndedError.
        """
        with self._in_use:
            answer = self._ask(observation, decoding, reset=reset)
        if answer is None:
            raise ProcessEndedError('the inference process ended')
        if 'error' in answer:
            raise InferenceFailedError(answer['error'])
        if 'refused' in answer:
            raise InstructionError(answer['refused'])
        if 'info' in answer:
            self.info = restored_info(answer['info'])
        return restored_action(answer['action'])

    def kill(self) -> None:
        """End the process at once, whatever it is doing."""
        self._killed = True
        self._process.kill()

    def wait(self) -> str:
        """Wait until the process has ended; return how, in words."""
        code = self._process.wait()
        if self._killed:
            return (
                'the inference process was ended, since an inference took several times '
                'inference_timeout: raise that where inferences are so slow'
            )
        how = f'exit code {code}' if code >= 0 else signal.Signals(-code).name
        memory = code == -signal.SIGKILL
        return f'the inference process ended with {how}' + (
            ', as where memory runs out (see `dmesg`; stored_as and dtype take less)'
            if memory
            else ''
        )

    def close(self) -> None:
        """Release channel and shared image, after the process has ended."""
        with self._in_use:  # an `infer` that was waiting for the process has returned by now
            self._closed = True
            self._channel.close()
            self._image.close()

    def _ask(
        self, observation: Observation, decoding: Decoding, *, reset: bool
    ) -> dict[str, Any] | None:
        """Return the answer; None when the process has ended."""
        if self._closed:
            return None
        self._image.write(observation.image)
        request = {
            'reset': reset,
            'shape': observation.image.shape,
            'instruction': observation.instruction,
            'stamp_ns': observation.stamp_ns,
            'decoding': decoding,
        }
        try:
            self._channel.send(request)
            return self._channel.receive()
        except OSError:
            return None
