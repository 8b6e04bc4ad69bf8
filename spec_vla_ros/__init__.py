# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Vision-language-action policies with speculative decoding, for ROS 2 robots and as a library.

The names below are loaded on first use, so that importing the package costs neither torch nor ROS.
"""

from importlib import import_module
from pkgutil import extend_path

# The generated ROS messages may live in a second directory of the same package name.
__path__ = extend_path(__path__, __name__)

_HOME = {
    'Observation': 'types',
    'Action': 'types',
    'DecodeStats': 'types',
    'Policy': 'types',
    'ActionCodec': 'action_codec',
    'NormStats': 'norm_stats',
    'SpecVlaPolicy': 'policy',
    'PolicyConfig': 'policy',
    'load_policy': 'policy',
    'load_openvla': 'models.checkpoint',
    'Recipe': 'models.recipes',
    'read_recipe': 'models.recipes',
}
__all__ = sorted(_HOME)  # noqa: PLE0605 - the one list of names is _HOME
__version__ = '0.1.0'


def __getattr__(name: str) -> object:
    """Import a public name's module when the name is first asked for."""
    if name not in _HOME:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'{__name__}.{_HOME[name]}'), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
