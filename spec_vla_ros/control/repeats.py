# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""An instruction that is given, told from the copies of one that somebody goes on publishing."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

LONGEST_PAUSE = 3.0
"""Seconds between two copies; after a longer silence the same words are given anew."""

_ENOUGH = 2
"""So many copies of what is in force: once more somebody may say it to be sure."""


@dataclass(frozen=True, slots=True)
class _Said:
    text: str
    at: float
    copies: int  # of what was in force
    again: bool  # said at least twice in a row


class RepeatWatch:
    """Knows who repeats an instruction, as `ros2 topic pub` does unless it is told `--once`.

    Each copy would undo a stop, a reset, or what somebody else asks for meanwhile. So whoever has
    given what was in force already twice more is taken to repeat it, until something else comes
    from there, or nothing for a while. Where two repeat different ones from the beginning, nobody
    can know which is meant.
    """

    def __init__(self) -> None:
        self._said: dict[Hashable, _Said] = {}
        self._deaf_since: float | None = None

    def is_copy(self, text: str, *, source: Hashable, in_force: str, now: float) -> bool:
        """Return whether an instruction only repeats what its publisher gave before.

        Args:
            text: the instruction; an empty one, which cancels, is never a copy.
            source: who gave it; None where nobody tells: then each text counts by itself, so that
                what one says is not taken for another's.
            in_force: the instruction that is followed now; where it is refused, the text itself.
            now: monotonic seconds.
        """
        text = text.strip()
        self._said = {k: v for k, v in self._said.items() if now - v.at <= LONGEST_PAUSE}
        who = text if source is None else source
        before = self._said.get(who)
        again = bool(text) and before is not None and before.text == text
        copies = before.copies if again and before is not None else 0
        self._said[who] = _Said(text, now, copies + (again and text == in_force), again)
        return copies >= _ENOUGH

    def rival(self, text: str, *, source: Hashable) -> tuple[Hashable, str] | None:
        """Return who goes on saying something else, and what, while this publisher goes on, too.

        Each would undo the other's for as long as both do; whose copies are known undoes nothing.
        Asked after `is_copy` for the same. None where nobody contradicts, or this one has said it
        only once: it may well be news.
        """
        text = text.strip()
        if not text or not self._said[text if source is None else source].again:
            return None
        return next(
            (
                (who, said.text)
                for who, said in self._said.items()
                if said.again and said.text != text and said.copies < _ENOUGH
            ),
            None,
        )

    def deaf_since(self, now: float) -> None:
        """Note that nobody listens from now on, monotonic seconds: no publisher pauses by that."""
        self._deaf_since = now

    def hears_again(self, now: float) -> None:
        """Note that somebody listens again, monotonic seconds; without effect if all the time."""
        deaf, self._deaf_since = now - (self._deaf_since or now), None
        self._said = {k: replace(v, at=v.at + deaf) for k, v in self._said.items()}
