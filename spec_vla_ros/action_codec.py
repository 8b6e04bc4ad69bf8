# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Action token <-> bin <-> normalised <-> un-normalised action.

OpenVLA (arXiv 2406.09246) writes each action dimension as one token: the value in [-1, 1] falls
between two of 256 evenly spaced edges, and bin number d becomes token id V - d, where V is the
vocabulary without its padding. So the last 256 ids are actions, and a higher id is a lower value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from spec_vla_ros.norm_stats import NormStats
from spec_vla_ros.types import DIMENSIONS, NotAnActionError


@dataclass(frozen=True, slots=True)
class ActionCodec:
    """Tokens to actions and back.

    stats: the norm stats in use.
    vocab_size: V, the text vocabulary without its padding (32000 for OpenVLA).
    num_bins: number of action ids.
    """

    stats: NormStats
    vocab_size: int = 32000
    num_bins: int = 256

    @property
    def action_ids(self) -> range:
        """The token ids that are actions."""
        return range(self.vocab_size - self.num_bins, self.vocab_size)

    @property
    def edges(self) -> np.ndarray:
        """(num_bins,) float64: where one bin ends and the next begins."""
        return np.linspace(-1.0, 1.0, self.num_bins)

    def is_action(self, tokens: ArrayLike) -> bool:
        """Whether every token of an answer is an action."""
        ids = np.asarray(tokens, np.int64)
        return bool(np.all((ids >= self.action_ids.start) & (ids < self.action_ids.stop)))

    def check_actions(self, tokens: ArrayLike) -> None:
        """Make sure that every token of an answer is an action.

        Raises:
            NotAnActionError: some are not; what they would be as bins is the farthest motion.
        """
        if not self.is_action(tokens):
            ids = np.asarray(tokens, np.int64).reshape(-1)
            wrong = [i for i in ids if i not in self.action_ids]
            raise NotAnActionError(
                f'the policy answered in words instead of an action: {len(wrong)} of {len(ids)} '
                f'tokens are none of the action ids {self.action_ids.start} to '
                f'{self.action_ids.stop - 1} (ids {", ".join(map(str, ids))}). It was not trained '
                'to answer this image and instruction with an action at once; checkpoints that '
                'reason first (embodied chain of thought) never do',
                tokens=tuple(map(int, ids)),
            )

    def tokens_to_bins(self, tokens: ArrayLike) -> np.ndarray:
        """Token ids (...) -> bin numbers (...) int64 in 0 .. num_bins - 2, low value first."""
        return np.clip(self.vocab_size - np.asarray(tokens, np.int64) - 1, 0, self.num_bins - 2)

    def tokens_to_normalised(self, tokens: ArrayLike) -> np.ndarray:
        """Token ids (...) -> the middles of their bins (...) float64 in [-1, 1]."""
        edges = self.edges
        middles = (edges[:-1] + edges[1:]) / 2
        chosen: np.ndarray = middles[self.tokens_to_bins(tokens)]
        return chosen

    def normalised_to_tokens(self, normalised: ArrayLike) -> np.ndarray:
        """Values (...), clipped to [-1, 1], -> token ids (...) int64."""
        clipped = np.clip(np.asarray(normalised, np.float64), -1.0, 1.0)
        return self.vocab_size - np.digitize(clipped, self.edges)

    def bins_within(
        self, *, translation: float | None = None, rotation: float | None = None
    ) -> tuple[int | None, ...]:
        """Return how many bins of each dimension are never more than a tolerance.

        Rounded down; 0 where values are used as they are, whose unit nobody knows.

        Args:
            translation: along each of x, y and z, in the stats' own unit; None: no limit is said.
            rotation: about each of these, likewise.

        Returns:
            (D,); None where nothing is said, which is always so of the gripper, the last.

        Raises:
            ValueError: a tolerance is negative or no number, or the actions have not 7 dimensions.
        """
        dimensions = self.stats.dimensions
        for tolerance in (translation, rotation):
            if tolerance is not None and not tolerance >= 0:
                raise ValueError(f'tolerance {tolerance}: give 0 or more, or None')
        if translation is None and rotation is None:
            return (None,) * dimensions
        if dimensions != DIMENSIONS:
            raise ValueError(
                f'the actions have {dimensions} dimensions, so that their units are not known: '
                'give an acceptance threshold in bins, and no tolerance'
            )
        most, low, high = self.num_bins - 1, self.stats.q01.tolist(), self.stats.q99.tolist()
        found: list[int | None] = [None] * dimensions
        for d, tolerance in enumerate((translation,) * 3 + (rotation,) * 3):
            if tolerance is not None:
                bins, span = tolerance * most, abs(high[d] - low[d])
                # A tolerance of whole bins means these, though it comes out a hair below.
                fits = most if bins >= most * span else int(bins / span * (1 + 1e-9))
                found[d] = fits if self.stats.mask[d] else 0
        return tuple(found)

    def decode(self, tokens: ArrayLike) -> np.ndarray:
        """Token ids (..., D) -> un-normalised actions (..., D) float64."""
        return self.stats.unnormalise(self.tokens_to_normalised(tokens))

    def encode(self, values: ArrayLike) -> np.ndarray:
        """Un-normalised actions (..., D) -> token ids (..., D) int64, for training.

        Raises:
            ValueError: they have another length, or are not finite.
        """
        given = np.asarray(values, np.float64)
        if given.shape[-1:] != self.stats.q01.shape:
            raise ValueError(
                f'actions of shape {given.shape}: the norm stats {self.stats.key!r} have '
                f'{self.stats.dimensions} dimensions'
            )
        if not np.isfinite(given).all():
            raise ValueError(f'an action is not finite: {given[~np.isfinite(given).all(axis=-1)]}')
        return self.normalised_to_tokens(self.stats.normalise(given))
