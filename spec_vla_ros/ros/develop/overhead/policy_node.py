# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The unchanged policy node with a `BusyPolicy`."""

from __future__ import annotations

from functools import partial

from spec_vla_ros.ros.develop.overhead.busy_policy import make_busy_policy
from spec_vla_ros.ros.policy_node import SpecVlaNode
from spec_vla_ros.ros.startup.spin import spin_node

if __name__ == '__main__':
    spin_node(partial(SpecVlaNode, make_policy=make_busy_policy), before_exit=SpecVlaNode.halt)
