# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A small table of recent situations and what the target chose in them.

A robot that does a task again meets situations like those before. What was chosen in the most
similar ones is a guess at what will be chosen now, also where a motion changes abruptly and
nothing in its last steps says so.
"""

from __future__ import annotations

import numpy as np


class SituationTable:
    """Remembers the latest situations, each a vector, and the choice that followed it.

    Args:
        key_size: numbers that describe a situation.
        choice_size: numbers in a choice.
        capacity: situations to remember; the oldest goes first.
    """

    def __init__(self, *, key_size: int, choice_size: int, capacity: int) -> None:
        self._keys = np.zeros((key_size, capacity), np.float32)
        self._choices = np.zeros((capacity, choice_size), np.int64)
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, len(self._choices))

    def add(self, key: np.ndarray, choice: np.ndarray) -> None:
        """Remember what was chosen, (choice_size,), in a situation, (key_size,)."""
        place = self._added % len(self._choices)
        self._keys[:, place], self._choices[place] = key, choice
        self._added += 1

    def nearest(self, key: np.ndarray, *, count: int) -> np.ndarray:
        """Return the choices in the situations most like this one, the most alike first.

        Like is near in the sum of absolute differences. Gives (count, choice_size) int64, fewer
        rows while fewer situations are known.
        """
        held = len(self)
        distance = self._keys[:, :held] - np.asarray(key, np.float32)[:, None]
        distance = np.abs(distance, out=distance).sum(axis=0)
        near = range(held)
        if held > count:  # to sort them all takes longer
            near = np.argpartition(distance, count)[:count].tolist()
        return self._choices[sorted(near, key=distance.__getitem__)]
