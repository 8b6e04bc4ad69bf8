# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What is compared is timed in turns, and nothing is timed for longer than it needs."""

import time

import pytest
import torch

from spec_vla_ros import device
from spec_vla_ros.device import attention, device_name, empty_mask, least_ms

CPU = torch.device('cpu')


def test_a_busy_moment_does_not_change_what_runs_take_beside_each_other(monkeypatch):
    """All are timed in turns: the first third of a second is slow, whatever runs in it."""
    now = 0.0

    def taking(ms):
        def run():
            nonlocal now
            now += (ms + (20 if now < 0.3 else 0)) / 1e3

        return run

    monkeypatch.setattr(device.time, 'thread_time', lambda: now)
    least = least_ms({'one row': taking(1.0), 'two rows': taking(1.5)}, device=CPU)
    assert least == pytest.approx({'one row': 1.0, 'two rows': 1.5})


def test_a_long_run_is_timed_in_one_round_only(monkeypatch):
    """Warming up a large model takes long enough."""
    now, runs = 0.0, 0

    def run():
        nonlocal now, runs
        now, runs = now + 2.0, runs + 1

    monkeypatch.setattr(device.time, 'thread_time', lambda: now)
    assert least_ms({'prefill': run}, device=CPU) == {'prefill': pytest.approx(2000.0)}
    assert runs == 3


def test_what_others_take_from_a_run_on_the_cpu_does_not_count():
    """Of a long run something is always taken on a busy machine: here it sleeps in the middle."""

    def compute(ms):
        end = time.thread_time() + ms / 1e3
        while time.thread_time() < end:
            pass

    def disturbed():
        compute(2.0)
        time.sleep(0.05)
        compute(2.0)

    least = least_ms({'short': lambda: compute(2.0), 'long': disturbed}, device=CPU)
    assert least['long'] / least['short'] == pytest.approx(2.0, rel=0.1)


def test_rows_of_a_mask_are_aligned_where_kernels_want_it():
    here, there = (empty_mask(3, 21, torch.empty(1, device=d)) for d in ('cpu', 'meta'))
    assert here.shape == there.shape == (3, 21)
    assert here.is_contiguous()
    assert there.stride() == (24, 1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize('dim', [8, 32, 64, 128])
def test_attention_on_cuda_takes_any_mask(dim, dtype):
    generator = torch.Generator('cuda').manual_seed(0)

    def random(*shape):
        return torch.randn(shape, generator=generator, device='cuda').to(dtype)

    for rows in (1, 2, 3, 7, 9, 33, 51):
        for past in (0, 1, 5, 64, 71, 290, 319):
            columns = past + rows
            q = random(rows, 4, 2 * dim)[..., dim:].transpose(0, 1)[None]
            k, v = random(2, 1, 4, columns + 3, dim)[..., :columns, :]
            seen = random(rows, columns) > 0
            seen[:, -1] = True
            mask = empty_mask(rows, columns, q).zero_().masked_fill_(~seen, -torch.inf)
            found = attention(q, k, v, mask=mask, causal=False, grouped=False)
            exact = torch.nn.functional.scaled_dot_product_attention(
                *(t.double().cpu() for t in (q, k, v)), attn_mask=seen.cpu()
            )
            error = (found.double().cpu() - exact).norm() / exact.norm()
            assert error < (1e-5 if dtype == torch.float32 else 1e-2), (rows, past)


@pytest.mark.parametrize(
    ('cpuinfo', 'named'),
    [
        (
            'processor\t: 0\nmodel name\t: Some CPU @ 2.50GHz\nmodel name\t: Some CPU',
            'Some CPU @ 2.50GHz',
        ),
        ('processor\t: 0\nBogoMIPS\t: 50.00\n', 'CPU'),  # as on ARM
        (None, 'CPU'),
    ],
)
def test_a_cpu_is_named_by_its_model(cpuinfo, named, tmp_path, monkeypatch):
    """Figures in a report mean nothing without it."""
    file = tmp_path / 'cpuinfo'
    if cpuinfo is not None:
        file.write_text(cpuinfo)
    monkeypatch.setattr(device, 'Path', lambda path: file)
    monkeypatch.setattr(device.platform, 'machine', lambda: 'x86_64')
    assert device_name(CPU) == f'{named} (x86_64)'
