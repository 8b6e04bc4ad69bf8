# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""ROS parameters made from a settings class: declared, described, and validated."""

from __future__ import annotations

import array
import dataclasses
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from spec_vla_ros.ros.startup.parameter_files import (
    of_no_name,
    of_other_nodes,
    refuse_contradictions,
    refuse_overruled,
    sections_of,
)
from spec_vla_ros.ros.startup.remaps import remaps_in_no_force
from spec_vla_ros.settings.nodes import PolicySettings, RobotSettings
from spec_vla_ros.settings.parameter import changed, meaning_of
from spec_vla_ros.strict_yaml import read_yaml

SettingsType = TypeVar('SettingsType', bound=PolicySettings | RobotSettings)


class LiveSettings(Generic[SettingsType]):
    """Declares the fields of a settings class as a node's parameters, and follows their changes.

    Several changes in one request are accepted as a whole, or refused as a whole with the reason.
    Other parameters (use_sim_time) are left alone. An integer is accepted for a double, and for
    several doubles also a string that holds a list of numbers.

    Args:
        node: the node that has the parameters.
        kind: the settings class.
        names: the node's topics, services and actions, before remapping.
        on_change: called with the new settings after each change.
        check: called with the new settings before each change; a ValueError refuses it.
        at_start: returns whether parameters that are read at start may still change; None if they
            never may.
        arguments: the node's own ROS arguments, in addition to those of the process.

    Raises:
        ValueError: a start value (in a file or on the command line) is wrong or given twice; the
            message says which, and what is valid.
    """

    def __init__(
        self,
        node: Node,
        kind: type[SettingsType],
        *,
        names: Iterable[str],
        on_change: Callable[[SettingsType], None] = lambda settings: None,
        check: Callable[[SettingsType], object] = lambda settings: None,
        at_start: Callable[[], bool] | None = None,
        arguments: Sequence[str] | None = None,
    ) -> None:
        self._logger = node.get_logger()
        self._fields = {field.name: field for field in dataclasses.fields(kind)}
        self._on_change: Callable[[SettingsType], None] = on_change
        self._check: Callable[[SettingsType], object] = check
        self._at_start: Callable[[], bool] = at_start or (lambda: False)
        never = at_start is None
        start = {f.name: _declare(node, f, never=never) for f in dataclasses.fields(kind)}
        self._current: SettingsType = changed(kind(), start, running=False)
        self.not_in_force = _not_in_force(node, [*sys.argv, *(arguments or ())], names)
        """In words, the parameters and remaps that were given at start and have no effect."""
        for problem in self.not_in_force:
            self._logger.error(problem)
        node.add_pre_set_parameters_callback(self._as_declared)
        node.add_on_set_parameters_callback(self._validate)
        node.add_post_set_parameters_callback(self._apply)

    @property
    def current(self) -> SettingsType:
        """The settings in force, one consistent set."""
        return self._current

    def _ours(self, parameters: list[Parameter]) -> dict[str, object]:
        return {p.name: _plain(p.value) for p in parameters if p.name in self._fields}

    def _as_declared(self, parameters: list[Parameter]) -> list[Parameter]:
        """Return parameters in which what stands for doubles is replaced by doubles.

        Also warns of changes that will be refused. That is done here, because rclpy refuses wrong
        types and ranges before it calls `_validate`.
        """
        taken = []
        for p in parameters:
            field = self._fields.get(p.name)
            value: Any = p.value if field is None else _doubles(p.value, field)
            taken.append(p if value is p.value else Parameter(p.name, value=value))
        try:
            self._check(self._changed(self._ours(taken)))
        except ValueError as reason:
            self._logger.warning(f'a change is refused: {reason}')
        return taken

    def _validate(self, parameters: list[Parameter]) -> SetParametersResult:
        try:
            self._check(self._changed(self._ours(parameters)))
        except ValueError as reason:
            return SetParametersResult(successful=False, reason=str(reason))
        return SetParametersResult(successful=True)

    def _apply(self, parameters: list[Parameter]) -> None:
        ours = self._ours(parameters)
        if ours:
            before, self._current = self._current, self._changed(ours)
            for name, value in ours.items():
                if value != getattr(before, name):
                    self._logger.info(f'{name}: {getattr(before, name)!r} -> {value!r}')
            self._on_change(self._current)

    def _changed(self, ours: dict[str, object]) -> SettingsType:
        return changed(self._current, ours, running=not self._at_start())


def _declare(node: Node, field: dataclasses.Field[Any], *, never: bool) -> object:
    """Declare one parameter and return its start value: the one that was given, or the default.

    never: whether a parameter that is not live can never be changed later.
    """
    start = list(field.default) if isinstance(field.default, tuple) else field.default
    described = descriptor(field, read_only=never and not meaning_of(field).live)
    try:
        try:
            found = node.declare_parameter(field.name, start, described)
        except InvalidParameterTypeException:
            given = _as_given(node, field.name)
            doubles = _doubles(given, field)
            if doubles is given:
                raise
            found = node.declare_parameter(field.name, doubles, described, ignore_override=True)
        return _plain(found.value)
    except (InvalidParameterTypeException, InvalidParameterValueException) as wrong:
        raise ValueError(f'{field.name}: {wrong}') from wrong


def _as_given(node: Node, name: str) -> object:
    """Return the start value that was given, of any type; leaves the parameter undeclared."""
    anything = ParameterDescriptor(dynamic_typing=True)
    given = node.declare_parameter(name, None, anything).value
    node.undeclare_parameter(name)
    return given


def _doubles(value: object, field: dataclasses.Field[Any]) -> object:
    """Return the value given for a parameter, converted to doubles if those are expected.

    Converted are whole numbers, and a string that holds a list of numbers: `ros2 param set` sends
    a list with both kinds of numbers, such as [0.1, 1], as a string. Anything else is returned as
    it is.
    """
    first = field.default[0] if isinstance(field.default, tuple) else field.default
    if type(first) is not float:
        return value
    if type(value) is int:
        return float(value)
    if isinstance(value, str) and isinstance(field.default, tuple):
        numbers = _listed(value)
        return [float(x) for x in numbers] if numbers else value
    if isinstance(value, list | array.array) and value and all(type(x) is int for x in value):
        return [float(x) for x in value]
    return value


def _listed(text: str) -> list[int | float]:
    """Return the numbers of a list in YAML; an empty list if the text is anything else."""
    try:
        found = read_yaml(text)
    except ValueError:
        return []
    if not isinstance(found, list) or not all(type(x) in (int, float) for x in found):
        return []
    return found


def _not_in_force(node: Node, arguments: Sequence[str], names: Iterable[str]) -> tuple[str, ...]:
    """Return in words what was given at start and has no effect.

    Raises ValueError: a parameter was given two values.
    """
    declared = node.list_parameters([], 0).names
    whole, sources = node.get_fully_qualified_name(), sections_of(arguments)
    refuse_contradictions(sources, node=whole)
    given: dict[str, Parameter] = node._parameter_overrides  # rclpy has no other way to ask
    values = {name: parameter.value for name, parameter in given.items()}
    in_force = {n: list(v) if isinstance(v, array.array) else v for n, v in values.items()}
    refuse_overruled(sources, node=whole, in_force=in_force)
    return (
        *of_no_name(given, names=declared),
        *of_other_nodes(sources, node=whole, names=declared),
        *remaps_in_no_force(arguments, node=whole, names=names, parameters=declared),
    )


def _plain(value: object) -> object:
    """Return an array of numbers as a tuple, in whichever form rclpy gives it."""
    return tuple(value) if isinstance(value, list | array.array) else value


def descriptor(field: dataclasses.Field[Any], *, read_only: bool) -> ParameterDescriptor:
    """Return the description of a settings field that `ros2 param describe` shows."""
    meaning = meaning_of(field)
    description = meaning.description + (f' [{meaning.unit}]' if meaning.unit else '')
    result = ParameterDescriptor(description=description, read_only=read_only)
    if meaning.choices:
        result.additional_constraints = 'one of ' + ', '.join(map(repr, meaning.choices))
    first = field.default[0] if isinstance(field.default, tuple) else field.default
    if meaning.low is not None and isinstance(first, int):
        result.integer_range = [IntegerRange(from_value=meaning.low, to_value=meaning.high)]
    elif meaning.low is not None:
        result.floating_point_range = [
            FloatingPointRange(from_value=meaning.low, to_value=meaning.high)
        ]
    return result
