# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A policy in a process of its own, which can hang, crash or be killed without harm to the node.

Inference in a thread shares the interpreter with the timers that command the arm. It cannot be
ended when it hangs, and it takes the node with it when it crashes. In a process of its own, only
that process fails. A process that died is started again, a bounded number of times in a row, each
time after a longer pause. Then it stays down until somebody resets it, see `recover`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from spec_vla_ros.inference.child import PolicyChild
from spec_vla_ros.inference.wire import InferenceFailedError, ProcessEndedError, describe
from spec_vla_ros.settings.nodes import PolicySettings
from spec_vla_ros.types import Action, Decoding, Observation, PolicyInfo

_LOOKS_EVERY = 0.1  # seconds between two checks whether loading was interrupted
_NOTICED_WITHIN = 5.0  # seconds within which the supervisor learns how a process has ended


class ProcessPolicy:
    """Loads a policy in a process of its own, and infers there. Both a Policy and a Supervisor.

    Call `infer` and `reset` from one thread only; everything else from any thread.

    Args:
        factory: 'package.module:function', called in the process with the settings.
        settings: configure_timeout limits each loading. max_worker_restarts limits the restarts in
            a row; an inference that succeeds sets their number back to 0.
        pause: seconds before the first restart; doubled before each further one in a row.
        interrupted: asked while the policy is being loaded; when it says so, loading is given up.

    Raises:
        InferenceFailedError, ProcessEndedError, TimeoutError: the policy cannot be loaded; the
            text says why.
    """

    def __init__(
        self,
        factory: str,
        settings: PolicySettings,
        *,
        pause: float = 0.5,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._factory = factory
        self._settings = settings
        self._pause = pause
        self._changed = threading.Condition()
        self._child: PolicyChild | None = None
        self._ready = False
        self._trouble: str | None = 'the inference process is being started'
        self._failure: Exception | None = None
        self._info = PolicyInfo()
        self._made_of: tuple[object, ...] = ()
        self._restarts = 0
        self._in_a_row = 0
        self._given_up = self._recovering = False
        self._closing = False
        self._reset_due = False
        self._thread = threading.Thread(target=self._supervise, name='supervisor', daemon=True)
        self._thread.start()
        with self._changed:
            while not (self._ready or self._failure or interrupted()):
                self._changed.wait(_LOOKS_EVERY)
        if not self._ready:
            failure = self._failure or InferenceFailedError(
                'interrupted while it was being loaded'
            )
            self.close()
            raise failure

    @property
    def info(self) -> PolicyInfo:
        """The latest that the policy has said about itself."""
        return self._info

    @property
    def trouble(self) -> str | None:
        """Why no inference can run now; None when one can."""
        return self._trouble

    @property
    def given_up(self) -> bool:
        """Whether the process stays down until `recover`."""
        return self._given_up

    @property
    def restarts(self) -> int:
        """How often the process was started again."""
        return self._restarts

    @property
    def pid(self) -> int | None:
        """Id of the process that infers; None while there is none."""
        with self._changed:
            return None if self._child is None else self._child.pid

    def infer(self, observation: Observation, decoding: Decoding) -> Action:
        """Return the action for this observation.

        Raises InferenceFailedError, with the text of what the policy raised, InstructionError and
        ProcessEndedError.
        """
        with self._changed:
            child = self._child
            if child is None or self._trouble is not None:
                raise ProcessEndedError(self._trouble or 'there is no inference process')
        reset, self._reset_due = self._reset_due, False
        try:
            action = child.infer(observation, decoding, reset=reset)
        except ProcessEndedError as ended:
            with self._changed:  # the supervisor knows how it ended
                self._changed.wait_for(lambda: self._child is not child, _NOTICED_WITHIN)
                raise ProcessEndedError(self._trouble or str(ended)) from None
        self._in_a_row = 0
        self._info = child.info
        return action

    def reset(self) -> None:
        """Forget everything kept from earlier observations, at the next inference."""
        self._reset_due = True

    def kill(self) -> None:
        """End an inference that does not return; the process is then started again."""
        with self._changed:
            if self._child is not None:
                self._child.kill()

    def recover(self) -> None:
        """Start again after giving up; does nothing otherwise."""
        with self._changed:
            self._recovering = True
            self._changed.notify_all()

    def close(self) -> None:
        """End the process, and an inference with it."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self.kill()
        self._thread.join()

    def _supervise(self) -> None:
        """Keep one process running. This thread starts all of them, and outlives them."""
        while not self._closing:
            how = self._run_once()
            with self._changed:
                if self._closing or not self._may_restart(how):
                    return
                self._in_a_row += 1
                self._restarts += 1

    def _run_once(self) -> str:
        """Start a process, wait for its end, return how it ended."""
        try:
            child = PolicyChild(self._factory, self._settings)
        except Exception as error:  # no memory, no descriptors, or settings that cannot be sent
            return self._down(error)
        with self._changed:
            self._child = child
            if self._closing:
                child.kill()
        failure = self._wait_ready(child) or self._changed_since_configured(child.info)
        if failure is None:
            with self._changed:
                self._ready, self._trouble = True, None
                self._info = child.info
                self._changed.notify_all()
        else:
            child.kill()
        ended = self._down(failure or ProcessEndedError(child.wait()))
        child.wait()
        child.close()
        return ended

    def _wait_ready(self, child: PolicyChild) -> Exception | None:
        """Wait until the policy is loaded; return why it cannot be used, or None."""
        limit = self._settings.configure_timeout
        try:
            child.wait_ready(timeout=limit)
        except TimeoutError:
            return TimeoutError(f'the policy was not loaded within configure_timeout={limit:g} s')
        except (InferenceFailedError, ProcessEndedError) as failure:
            return failure
        except Exception as error:  # an answer that cannot be understood
            return InferenceFailedError(describe(error))
        return None

    def _changed_since_configured(self, info: PolicyInfo) -> Exception | None:
        """Return an error if the restarted policy is not the one that was configured, or None."""
        made_of = (info.checkpoint, info.unnorm_key, info.recipe, info.files, info.has_drafter)
        self._made_of = self._made_of or made_of
        if made_of == self._made_of:
            return None
        return InferenceFailedError(
            'the files of checkpoint or recipe have changed since they were configured, and the '
            'arm would go on by others: put them back, or clean up and configure'
        )

    def _down(self, reason: Exception) -> str:
        """Note that there is no process to ask, and why; return the reason in words."""
        with self._changed:
            self._child = None
            self._trouble = str(reason)
            if not self._ready:
                self._failure = reason
            self._changed.notify_all()
        return str(reason)

    def _may_restart(self, how: str) -> bool:
        """Wait until the process may be started again; return False if it never may."""
        if self._failure is not None:
            return False
        limit = self._settings.max_worker_restarts
        if self._in_a_row < limit:
            self._trouble = f'{how}; starting it again ({self._in_a_row + 1} of {limit})'
            self._changed.wait_for(lambda: self._closing, self._pause * 2**self._in_a_row)
        else:
            self._trouble = f'{how}; given up after {limit} restarts, until reset'
            self._given_up, self._recovering = True, False
            self._changed.wait_for(lambda: self._closing or self._recovering)
            self._given_up, self._in_a_row = False, 0
            self._trouble = f'{how}; starting it again after a reset'
        return not self._closing
