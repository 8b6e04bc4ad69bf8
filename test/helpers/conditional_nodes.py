# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Conditional nodes of CUDA graphs for a torch that has none yet (before 2.12).

With them whole actions are tested, and can be timed, on machines with such a torch. Made with
NVIDIA's cuda-bindings as `CUDAGraph.begin_capture_to_if_node` makes them.
"""

import contextlib
import ctypes
import importlib.util

import torch

from spec_vla_ros.decoding.cuda.recording import CudaRecorder

_DEPTH = 2
"""How many branches lie inside each other at most."""

_TAKE = b"""
.version 8.0
.target sm_70
.address_size 64
.extern .func cudaGraphSetConditional(.param .b64 handle, .param .b32 value);
.visible .entry take(.param .u64 take_handle, .param .u64 take_condition)
{
    .reg .b32 %value;
    .reg .b64 %handle, %condition;
    ld.param.u64 %handle, [take_handle];
    ld.param.u64 %condition, [take_condition];
    cvta.to.global.u64 %condition, %condition;
    ld.global.u8 %value, [%condition];
    {
        .param .b64 first;
        st.param.b64 [first], %handle;
        .param .b32 second;
        st.param.b32 [second], %value;
        call.uni cudaGraphSetConditional, (first, second);
    }
    ret;
}
"""
"""Sets a handle to a bool; the driver knows the function that it calls."""


def torch_has_them() -> bool:
    return hasattr(torch.cuda.CUDAGraph, 'begin_capture_to_if_node')


def can_be_made() -> bool:
    """Whether there are any, of torch or of ours."""
    if torch_has_them():
        return True
    with contextlib.suppress(ModuleNotFoundError):  # not even the package around it
        return importlib.util.find_spec('cuda.bindings') is not None
    return False


class BoundRecorder(CudaRecorder):
    """Records branches with cuda-bindings."""

    def __init__(self, device):
        from cuda.bindings import driver

        super().__init__(device)
        self._driver = driver
        torch.empty(1, device=device)  # so that there is a context
        with torch.cuda.device(device):
            self._module = self._ask('cuModuleLoadData', _TAKE)
            self._take = self._ask('cuModuleGetFunction', self._module, b'take')
            self._context = self._ask('cuCtxGetCurrent')
        self._inside = [torch.cuda.Stream(device) for _ in range(_DEPTH)]

    def record(self, step):
        self._depth, self._pooled = 0, False
        return super().record(step)

    def branch(self, condition, body):
        driver = self._driver
        self._pool_by_thread()
        stream = torch.cuda.current_stream(self._device).cuda_stream
        graph, _ = self._captured(stream)
        handle = self._ask('cuGraphConditionalHandleCreate', graph, self._context, 0, 0)
        given = ((int(handle), condition.data_ptr()), (ctypes.c_uint64, ctypes.c_void_p))
        self._ask('cuLaunchKernel', self._take, 1, 1, 1, 1, 1, 1, 0, stream, given, 0)
        graph, before = self._captured(stream)
        node = driver.CUgraphNodeParams()
        node.type = driver.CUgraphNodeType.CU_GRAPH_NODE_TYPE_CONDITIONAL
        node.conditional.handle = handle
        node.conditional.type = driver.CUgraphConditionalNodeType.CU_GRAPH_COND_TYPE_IF
        node.conditional.size = 1
        node.conditional.ctx = self._context
        added = self._ask('cuGraphAddNode', graph, *before, node)
        only = [[added], *([None] * (len(before) - 2)), 1]
        how = driver.CUstreamUpdateCaptureDependencies_flags.CU_STREAM_SET_CAPTURE_DEPENDENCIES
        self._ask('cuStreamUpdateCaptureDependencies', stream, *only, how)
        inside = self._inside[self._depth]
        mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        (taken,) = node.conditional.phGraph_out[:1]
        none = [None] * (len(before) - 1)
        self._ask('cuStreamBeginCaptureToGraph', inside.cuda_stream, taken, *none, 0, mode)
        self._depth += 1
        try:
            with torch.cuda.stream(inside):
                body()
        finally:
            self._depth -= 1
            self._ask('cuStreamEndCapture', inside.cuda_stream)

    def _captured(self, stream):
        """Return the graph that a stream records, and what its next node would come behind."""
        _, _, graph, *behind = self._ask('cuStreamGetCaptureInfo', stream)
        return graph, behind

    def _pool_by_thread(self):
        """Let memory of the streams inside come from the graphs' pool, too."""
        if not self._pooled:
            index = self._device.index or 0
            torch._C._cuda_endAllocateToPool(index, self._memory)
            torch._C._cuda_beginAllocateCurrentThreadToPool(index, self._memory)
            self._pooled = True

    def _ask(self, name, *args):
        error, *values = getattr(self._driver, name)(*args)
        if error != self._driver.CUresult.CUDA_SUCCESS:
            raise RuntimeError(f'{name}: {error.name}')
        return values[0] if len(values) == 1 else values
