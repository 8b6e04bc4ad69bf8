# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The process in which a policy runs: what process_policy.py starts.

python -m spec_vla_ros.inference.process_main SOCKET IMAGE PARENT, with the descriptors of its end
of the channel and of the shared image, and the parent's process id.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from spec_vla_ros.inference.wire import (
    Channel,
    SharedImage,
    describe,
    restored,
    restored_decoding,
)
from spec_vla_ros.programs import DieWithParent, keep_freed_memory, log_to_stderr
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.types import InstructionError, Observation, Policy

INFO_PERIOD = 1.0  # seconds


def main() -> None:
    """Load the policy, then answer until the parent closes the channel."""
    log_to_stderr()
    keep_freed_memory()
    end, memory, parent = map(int, sys.argv[1:4])
    DieWithParent(signal.SIGKILL, parent=parent)()
    for number in (signal.SIGINT, signal.SIGHUP):  # the parent decides what the terminal means
        signal.signal(number, signal.SIG_IGN)
    channel = Channel(socket.socket(fileno=end))
    order = channel.receive()
    if order is None:
        return
    try:
        make_policy = _named(order['factory'])
        policy = make_policy(PolicySettings(**restored(order['settings'])))
    except Exception as error:
        channel.send({'error': describe(error)})
        return
    # Whatever is loaded by now stays, so the garbage collector need not look at it again.
    gc.collect()
    gc.freeze()
    channel.send({'ready': os.getpid(), 'info': policy.info})
    serve(policy, channel, SharedImage(memory))


def serve(policy: Policy, channel: Channel, image: SharedImage) -> None:
    """Answer requests until the other end closes the channel.

    Raises SystemExit if a CUDA device has failed: in this process it stays unusable, and in a new
    one it works again.
    """
    info_due, lost = 0.0, False
    while (request := channel.receive()) is not None:
        try:
            answer = {'action': _infer(policy, request, image)}
            if time.monotonic() >= info_due:  # not each time: to ask for device memory takes time
                answer['info'] = policy.info
                info_due = time.monotonic() + INFO_PERIOD
        except InstructionError as refused:
            answer = {'refused': str(refused)}
        except Exception as error:  # the parent decides what it means
            answer = {'error': describe(error)}
            lost = 'CUDA error' in str(error)  # running out of memory has another text
        try:
            channel.send(answer)
        except OSError:  # the parent has closed while we were at it
            return
        if lost:
            sys.exit('the CUDA device failed: this process ends, and another is started')


def _infer(policy: Policy, request: dict[str, Any], image: SharedImage) -> Any:
    if request['reset']:
        policy.reset()
    observation = Observation(
        image.read(tuple(request['shape'])), request['instruction'], request['stamp_ns']
    )
    return policy.infer(observation, restored_decoding(request['decoding']))


def _named(name: str) -> Callable[[PolicySettings], Policy]:
    """Return the function named 'package.module:function'."""
    module, _, function = name.partition(':')
    found: Callable[[PolicySettings], Policy] = getattr(importlib.import_module(module), function)
    return found


if __name__ == '__main__':
    main()
