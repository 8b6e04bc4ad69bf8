# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Tells an instruction that somebody gives from copies that a publisher goes on repeating."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

LONGEST_PAUSE = 3.0
"""Seconds between two copies; after a longer silence the same words are given anew."""

_ENOUGH = 2
"""So many copies of the instruction in force show that somebody repeats it.

One copy does not: somebody may say it twice to be sure.
"""


@dataclass(frozen=True, slots=True)
class _Said:
    source: Hashable
    text: str
    at: float
    copies: int  # of what was in force
    again: bool  # said at least twice in a row


class RepeatWatch:
    """Knows which publishers repeat an instruction, as `ros2 topic pub` does without `--once`.

    Each copy would undo a stop, a reset, or what somebody else asks for meanwhile. So once a
    publisher has given the instruction in force two more times, it is taken to repeat it, until it
    says something else, or nothing for a while. If two publishers repeat different instructions
    from the beginning, nobody can know which one is meant, see `rival`.
    """

    def __init__(self) -> None:
        self._said: dict[Hashable, _Said] = {}
        self._deaf_since: float | None = None

    def is_copy(self, text: str, *, source: Hashable, in_force: str, now: float) -> bool:
        """Return whether an instruction only repeats what its publisher gave before.

        Args:
            text: the instruction; an empty one, which cancels, is never a copy.
            source: who gave it; None if that is not known. Then each text is counted separately,
                as if every text had a publisher of its own.
            in_force: the instruction that is followed now; if this one is refused, its own text.
            now: monotonic seconds.
        """
        text = text.strip()
        self._said = {k: v for k, v in self._said.items() if now - v.at <= LONGEST_PAUSE}
        who = text if source is None else source
        before = self._said.get(who)
        again = bool(text) and before is not None and before.text == text
        copies = before.copies if again and before is not None else 0
        if not text and source is None:
            # Whoever gave the others may have cancelled, and a known publisher would count anew.
            self._said = {k: replace(v, again=False) for k, v in self._said.items()}
        self._said[who] = _Said(source, text, now, copies + (again and text == in_force), again)
        return copies >= _ENOUGH

    def rival(self, text: str, *, source: Hashable) -> tuple[Hashable, str] | None:
        """Return another publisher that repeats something else, and what, if this one repeats too.

        The publisher is None where publishers are not known.

        Otherwise each would undo the other's instruction for as long as both go on. Publishers
        whose messages are already taken for copies do not count, since copies undo nothing.
        To be called after `is_copy` for the same message. None if nobody contradicts, or if this
        publisher has said it only once, so that it may be a new instruction.
        """
        text = text.strip()
        if not text or not self._said[text if source is None else source].again:
            return None
        return next(
            (
                (said.source, said.text)
                for said in self._said.values()
                if said.again and said.text != text and said.copies < _ENOUGH
            ),
            None,
        )

    def deaf_since(self, now: float) -> None:
        """Note that nobody listens from now on, so that silence is no pause of a publisher.

        now: monotonic seconds.
        """
        self._deaf_since = now

    def hears_again(self, now: float) -> None:
        """Note that somebody listens again; no effect if somebody did all the time.

        now: monotonic seconds.
        """
        deaf, self._deaf_since = now - (self._deaf_since or now), None
        self._said = {k: replace(v, at=v.at + deaf) for k, v in self._said.items()}
