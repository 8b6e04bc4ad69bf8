# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What two processes of ours tell each other: JSON, one message a packet.

Nothing that arrives can be code. Both ends hold their end of a socket pair, which nobody else can
reach and which reports the other end's death at once.
"""

from __future__ import annotations

import dataclasses
import json
import socket
from collections.abc import Mapping
from typing import Any

import numpy as np

from spec_vla_ros.types import Action, DecodeStats, Decoding, PolicyInfo

_MAX_PACKET = 2**17  # bytes; Linux's default socket buffer holds more


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


def plain(value: Any) -> Any:
    """Return a value made of dataclasses, arrays and tuples as what JSON knows."""
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
    return PolicyInfo(**message)


def restored_decoding(message: Mapping[str, Any]) -> Decoding:
    """Return a decoding that came as a message."""
    return Decoding(**restored(dict(message)))
