# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""How node and inference process talk: JSON, one message for each packet, and one shared image.

Nothing that arrives can be code. Messages pass through a socket pair, which nobody else can reach,
and which reports at once when the other end has died. The image is in memory that both share.
"""

from __future__ import annotations

import dataclasses
import json
import mmap
import os
import socket
from collections.abc import Mapping
from typing import Any

import numpy as np

from spec_vla_ros.types import Action, DecodeStats, Decoding, PolicyInfo

_MAX_PACKET = 2**17  # bytes; Linux's default socket buffer holds more
_LONGEST_TEXT = 2000  # characters; some errors quote whole state dicts


class InferenceFailedError(RuntimeError):
    """The policy raised in its process; the text holds the type and the text of what it raised."""


class ProcessEndedError(RuntimeError):
    """The inference process ended, or has been ended; the text says how."""


class Channel:
    """One end of a connection between two processes."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message; raises OSError when the other end has closed."""
        self._end.sendall(json.dumps(plain(message)).encode())

    def receive(self, *, timeout: float | None = None) -> dict[str, Any] | None:
        """Wait for a message; None: the other end has closed.

        timeout: seconds; None waits for ever. Raises TimeoutError when it has passed.
        """
        self._end.settimeout(timeout)
        try:
            packet = self._end.recv(_MAX_PACKET)
        except ConnectionResetError:
            return None
        return json.loads(packet) if packet else None

    def close(self) -> None:
        """Close this end; the other end receives None."""
        self._end.close()


def channel_pair() -> tuple[Channel, socket.socket]:
    """Return our end of a new connection, and the socket for the other process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Channel(ours), theirs


class SharedImage:
    """One (H, W, 3) uint8 image, written by one process and read by another.

    The memory has no name and no file, and is gone when both processes have ended. The reader
    learns the shape from a message that is sent after the writing. The writer waits for the answer
    before it writes again.

    Args:
        descriptor: of the memory, handed over by the process that made it; None to make it.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        if descriptor is None:
            descriptor = os.memfd_create('spec_vla_image')
        self.descriptor = descriptor
        self._memory: mmap.mmap | None = None

    def write(self, image: np.ndarray) -> None:
        """Put an image there; the memory grows with the largest."""
        if os.fstat(self.descriptor).st_size < image.nbytes:
            os.ftruncate(self.descriptor, image.nbytes)
        np.copyto(self._view(image.shape), image)

    def read(self, shape: tuple[int, int, int]) -> np.ndarray:
        """Return the image (H, W, 3) that was put there; it changes with the next writing."""
        return self._view(shape)

    def close(self) -> None:
        """Let go of the memory."""
        self._memory = None
        os.close(self.descriptor)

    def _view(self, shape: tuple[int, ...]) -> np.ndarray:
        size = os.fstat(self.descriptor).st_size
        if self._memory is None or len(self._memory) != size:
            # The old mapping is freed with the last array that refers to it.
            self._memory = mmap.mmap(self.descriptor, size)
        return np.frombuffer(self._memory, np.uint8, count=int(np.prod(shape))).reshape(shape)


def plain(value: Any) -> Any:
    """Return a value made of dataclasses, arrays and tuples in a form that JSON can express."""
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        return {'array': value.tolist(), 'dtype': str(value.dtype)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def restored(value: Any) -> Any:
    """Return what `plain` was given: arrays, and sequences as tuples; dataclasses stay dicts."""
    if isinstance(value, dict):
        if value.keys() == {'array', 'dtype'}:
            return np.array(value['array'], dtype=value['dtype'])
        return {key: restored(item) for key, item in value.items()}
    return tuple(map(restored, value)) if isinstance(value, list) else value


def restored_action(message: Mapping[str, Any]) -> Action:
    """Return an action that came as a message."""
    fields = restored(dict(message))
    return Action(**{**fields, 'stats': DecodeStats(**fields['stats'])})


def restored_info(message: Mapping[str, Any]) -> PolicyInfo:
    """Return what a policy said of itself in a message."""
    return PolicyInfo(**restored(dict(message)))


def restored_decoding(message: Mapping[str, Any]) -> Decoding:
    """Return a decoding that came as a message."""
    return Decoding(**restored(dict(message)))


def describe(error: Exception) -> str:
    """Return an error's type and text, of bounded length."""
    ours = isinstance(error, InferenceFailedError | ProcessEndedError)
    return (str(error) if ours else f'{type(error).__name__}: {error}')[:_LONGEST_TEXT]
