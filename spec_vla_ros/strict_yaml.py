# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""YAML that says one thing: what others would read in part, or in another way, is an error."""

from __future__ import annotations

import re
from typing import Any

import yaml

_DATE, _MERGE = 'tag:yaml.org,2002:timestamp', 'tag:yaml.org,2002:merge'
_FLOAT = 'tag:yaml.org,2002:float'
_POWER = re.compile(r'[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+$')


class _Loader(yaml.SafeLoader):
    """Takes no key with two values; dates stay words and 5e-2 is a number, as for ROS."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own form of it
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _DATE]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    for _first in '-+.0123456789':
        yaml_implicit_resolvers[_first] = [*yaml_implicit_resolvers[_first], (_FLOAT, _POWER)]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's
        own = [pair for pair in node.value if pair[0].tag != _MERGE]
        whole = super().construct_mapping(node, deep=True)
        found: dict[Any, Any] = {}
        for key_node, value_node in own:
            key = self.construct_object(key_node, deep=True)
            value = self.construct_object(value_node, deep=True)
            try:
                found = merged(found, {key: value})
            except ValueError as twice:
                line = value_node.start_mark.line + 1
                raise ValueError(f'{twice} (line {line})') from twice
        return {**whole, **found}


def read_yaml(text: str) -> Any:
    """Return what a YAML document holds; mappings that share a key are put together.

    Raises:
        ValueError: it is no YAML, holds several documents, a tag, or two values for a key; the
            message says which, and where.
    """
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as wrong:
        raise ValueError(str(wrong)) from wrong


def merged(first: dict[Any, Any], second: dict[Any, Any]) -> dict[Any, Any]:
    """Return what two mappings hold together.

    Raises:
        ValueError: they give a key different values; the message says which.
    """
    found = dict(first)
    for key, value in second.items():
        before = found.get(key, value)
        if isinstance(before, dict) and isinstance(value, dict):
            found[key] = merged(before, value)
        elif same(before, value):
            found[key] = value
        else:
            raise ValueError(f'{key} is given twice, as {before!r} and as {value!r}: keep one')
    return found


def same(one: object, other: object) -> bool:
    """Whether two values of YAML mean the same; 1 is 1.0, and not true."""
    return [one] == [other] and isinstance(one, bool) == isinstance(other, bool)  # so .nan is .nan
