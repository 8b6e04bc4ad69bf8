# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What a device would object to, found without one: operations run on torch's `meta` device.

Nothing is computed there, but every operation is seen with the places of its tensors. So this
counts where the host waits for the device, and refuses what a recording cannot hold.
"""

from contextlib import contextmanager

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

DEVICE = torch.device('meta')
_READS = ('_local_scalar_dense', 'item', 'nonzero', 'masked_select', 'is_nonzero', 'equal')
_COPIES = ('to', '_to_copy', 'copy_')


class DeviceRules(TorchDispatchMode):
    """Watches all operations while it is entered.

    answer: (shape) -> the numbers that the host is told when it reads a tensor.
    waits: the shapes of what it has read so far.
    """

    def __init__(self, answer):
        super().__init__()
        self._answer, self.waits, self._recording = answer, [], False
        self._calls = _RefuseMakingOnTheWay()

    def __enter__(self):
        self._calls.__enter__()
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self._calls.__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func._schema.name.removeprefix('aten::')
        tensors = [t for t in tree_flatten((args, kwargs))[0] if isinstance(t, torch.Tensor)]
        if name in _COPIES:
            names = (argument.name for argument in func._schema.arguments)
            given = {**dict(zip(names, args, strict=False)), **kwargs}
            source = given.get('src', given['self'])
            target = given['self'].device if name == 'copy_' else given.get('device')
            if target is not None and target.type != source.device.type:
                return self._copy(func, args, kwargs, given)
        places = {t.device.type for t in tensors}
        assert len(places) < 2, f'{name} mixes what lies on {places}'
        if places == {DEVICE.type}:
            assert name not in _READS, f'{name} waits for the device'
        result = func(*args, **kwargs)
        if self._recording:
            made = [t for t in tree_flatten(result)[0] if isinstance(t, torch.Tensor)]
            places |= {t.device.type for t in made}
            assert places <= {DEVICE.type}, f'{name} on {places} is no part of a recording'
        return result

    def _copy(self, func, args, kwargs, given):
        assert not self._recording, f'{func} between host and device cannot be repeated'
        if 'src' not in given and given['self'].device == DEVICE:
            shape = tuple(given['self'].shape)
            self.waits.append(shape)
            return torch.tensor(self._answer(shape), dtype=given['self'].dtype)
        assert given.get('non_blocking'), f'{func} waits for what the device is doing'
        return func(*args, **kwargs)

    @contextmanager
    def recording(self):
        self._recording = True
        yield
        self._recording = False


class _RefuseMakingOnTheWay(TorchFunctionMode):
    """`torch.tensor(numbers, device=...)` copies and waits, unseen by what watches operations."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor):
            assert torch.device(kwargs.get('device') or 'cpu') != DEVICE, 'numbers are copied'
        return func(*args, **kwargs)


class RuleRecorder:
    """A `Recorder` whose recordings do nothing, but are held to what a recording may do.

    rules: where it is set, those that are entered while steps run.
    """

    def __init__(self):
        self.rules = None

    def record(self, step):
        with self.rules.recording():
            step()
        return _repeat_nothing


def _repeat_nothing():
    pass
