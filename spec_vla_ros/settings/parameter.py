# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Declares parameters with their meaning and valid values, and checks changes of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Mapping
from dataclasses import Field, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Settings = TypeVar('Settings', bound='DataclassInstance')


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """The meaning and the valid values of a parameter.

    low, high: bounds of a number, inclusive.
    choices: the valid strings; any if empty.
    frame: whether it is the name of a tf2 frame.
    live: whether it may be changed while the node runs. If not, it is read at start; by a
        lifecycle node when it is configured.
    only: another parameter -> the values of that with which this one has an effect. If there are
        several others, one is enough; if there are none, this one always has an effect.
    """

    description: str
    unit: str = ''
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    frame: bool = False
    live: bool = False
    only: Mapping[str, Container[Any]] = dataclasses.field(default_factory=dict)


def parameter(description: str, *, default: Any, **meaning: Any) -> Any:
    """Return a dataclass field that is a parameter."""
    return dataclasses.field(
        default=default, metadata={'meaning': Meaning(description=description, **meaning)}
    )


def meaning_of(field: Field[Any]) -> Meaning:
    """Return the meaning of a settings field."""
    meaning: Meaning = field.metadata['meaning']
    return meaning


def without_effect(settings: DataclassInstance) -> list[str]:
    """Return in words which parameters differ from their defaults but have no effect."""
    found = []
    for field in dataclasses.fields(settings):
        value, only = getattr(settings, field.name), meaning_of(field).only
        if not only or value == field.default:
            continue
        if not any(getattr(settings, other) in values for other, values in only.items()):
            why = ', '.join(f'{other} is {getattr(settings, other)!r}' for other in only)
            found.append(f'{field.name} {value!r} has no effect: {why}')
    return found


def changed(settings: Settings, changes: Mapping[str, Any], *, running: bool) -> Settings:
    """Return new settings with these changes.

    running: whether the node runs, so that only live parameters may change.
    Raises ValueError: a change is invalid; the message says which parameter, and what is valid.
    """
    fields = {field.name: field for field in dataclasses.fields(settings)}
    for name, value in changes.items():
        if name not in fields:
            raise ValueError(f'{name}: no such parameter; there are {", ".join(fields)}')
        _check(fields[name], value)
        if running and value != getattr(settings, name) and not meaning_of(fields[name]).live:
            raise ValueError(
                f'{name}: read at start only; restart the node, or clean it up (`ros2 lifecycle '
                'set NODE cleanup`), to change it'
            )
    return dataclasses.replace(settings, **changes)


def _check(field: Field[Any], value: Any) -> None:
    default: Any = field.default
    name, meaning, kind = field.name, meaning_of(field), type(default)
    low, high = meaning.low, meaning.high
    if value is None:  # ROS turns an empty list into this
        raise ValueError(f'{name}: nothing is given; leave it out for the default, {default!r}')
    if type(value) is not kind:
        raise ValueError(f'{name}: expected {kind.__name__}, got {type(value).__name__} {value!r}')
    numbers: tuple[Any, ...] = value if kind is tuple else (value,)
    if kind is tuple and len(value) != len(default):
        raise ValueError(f'{name}: {len(value)} numbers given, {len(default)} are needed')
    for number in numbers if low is not None and high is not None else ():
        if kind is tuple and type(number) is not type(default[0]):
            raise ValueError(f'{name}: expected {type(default[0]).__name__}s, got {value!r}')
        if not low <= number <= high:
            unit = f' {meaning.unit}' if meaning.unit else ''
            raise ValueError(f'{name}: {number} is outside [{low:g}, {high:g}]{unit}')
    if meaning.choices and value not in meaning.choices:
        raise ValueError(f'{name}: {value!r} is none of {", ".join(map(repr, meaning.choices))}')
    if meaning.frame and not value:
        raise ValueError(f'{name}: must not be empty')
    if meaning.frame and any(map(str.isspace, value)):
        raise ValueError(f'{name}: {value!r} is no frame of tf2, whose names have no blanks')
    if meaning.frame and value.startswith('/'):
        raise ValueError(
            f'{name}: {value!r} is no frame of tf2, whose names begin without a slash: '
            f'{value.lstrip("/")!r}'
        )
