# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Keeps the tree plan in force, and replaces it when acceptance rates have changed.

A plan stays until another is clearly better. So a robot acts alike from one day to the next, and
CUDA graphs, which belong to a plan, are seldom recorded anew.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from spec_vla_ros.decoding.draft_tree import TreeShape
from spec_vla_ros.decoding.generate import Decoded
from spec_vla_ros.planning.costs import Costs
from spec_vla_ros.planning.plan import Held, TreePlan, expected_ms, plan_trees
from spec_vla_ros.planning.rates import AcceptanceRates

_LOG = logging.getLogger(__name__)

_REPLAN_EVERY = 25  # actions
_CLEARLY_BETTER = 1.02
_WITH_MORE, _WITH_FEWER = 0.93, 1.1
"""By which factor a plan must be faster to replace the one in force: with as many guesses, with
more, with fewer. Guesses save passes of the target, so a plan with more of them may be a little
slower, see `plan_trees`."""


class Planner:
    """Keeps the plan in force for each set of acceptance thresholds.

    Args:
        rates: how often drafts are accepted.
        held: returns how often guesses are right, see `TemporalDraft.held`.
        num_tokens: length of the action.
        given: the tree or plan to use always. None to plan as soon as the costs are known; until
            then the default `TreeShape` is used, which is that of the published drafters.

    Raises:
        ValueError: the given plan is for actions of another length.
    """

    def __init__(
        self,
        rates: AcceptanceRates,
        held: Callable[[], Held],
        *,
        num_tokens: int,
        given: TreeShape | TreePlan | None,
    ) -> None:
        if isinstance(given, TreePlan) and len(given.shapes) != num_tokens:
            raise ValueError(
                f'a draft plan for {len(given.shapes)} tokens does not fit actions of {num_tokens}'
            )
        self._rates, self._held = rates, held
        self._num_tokens, self._given = num_tokens, given
        self._costs: Costs | None = None
        self._plans: dict[tuple[int, ...], TreePlan] = {}
        self._seen = 0

    @property
    def wants_costs(self) -> bool:
        """Whether costs are used, so that measuring them makes sense."""
        return self._given is None

    def use_costs(self, costs: Costs) -> None:
        """Plan anew by these costs."""
        self._costs = costs
        self._plans.clear()

    def plan(self, thresholds: tuple[int, ...]) -> TreeShape | TreePlan:
        """Return the tree or plan for these acceptance thresholds, one for each dimension."""
        if self._given is not None:
            return self._given
        if self._costs is None:
            return TreeShape()
        if thresholds not in self._plans:
            self._plans[thresholds] = self._best(self._costs, thresholds)
            _LOG.info('acceptance thresholds %s: %s', list(thresholds), self._plans[thresholds])
        return self._plans[thresholds]

    def observe(self, thresholds: tuple[int, ...], decoded: Decoded) -> None:
        """Learn from an action that was decoded with these thresholds; plan anew at every 25th.

        This takes some ten microseconds; planning takes a fifth of a millisecond.
        """
        plan = self.plan(thresholds)
        if self._costs is None or not isinstance(plan, TreePlan) or self._given is not None:
            return
        decided = decoded.commits[0]
        for committed in decoded.commits[1:]:
            shape = plan(self._num_tokens - decided)
            if shape is not None:
                self._rates.saw_draft(
                    thresholds,
                    width=shape.top_k,
                    first_dimension=decided,
                    depth=shape.depth,
                    accepted=committed - 1,
                )
            decided += committed
        if not any(plan.shapes):
            self._rates.forget_a_little()
        self._seen += 1
        if self._seen % _REPLAN_EVERY == 0:
            self._replan(self._costs, thresholds, plan)

    def _replan(self, costs: Costs, thresholds: tuple[int, ...], plan: TreePlan) -> None:
        better = self._best(costs, thresholds)
        rate, held = self._rates.of_levels(thresholds), self._held()
        now, then = (expected_ms(p, costs, rate=rate, held=held) for p in (plan, better))
        needed = _CLEARLY_BETTER
        if better.guesses != plan.guesses:
            needed = _WITH_MORE if better.guesses > plan.guesses else _WITH_FEWER
        if needed * then < now:
            self._plans[thresholds] = better
            _LOG.info('acceptance thresholds %s, as seen: %s', list(thresholds), better)

    def _best(self, costs: Costs, thresholds: tuple[int, ...]) -> TreePlan:
        return plan_trees(
            costs,
            num_tokens=self._num_tokens,
            rate=self._rates.of_levels(thresholds),
            held=self._held(),
        )
