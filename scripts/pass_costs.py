# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Times a pass of the target by its rows, and its matrix products and attention by themselves.

Run as `python scripts/pass_costs.py`, for the shipped policy's language model and the benchmark's
random ones, on one thread. The pass, its products alone and its attention alone are timed in
turns. The rest is the most that a kernel for a whole layer could save.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from spec_vla_ros.benchmark.random_case import RANDOM_CASES, RandomModel
from spec_vla_ros.checkpoints import TABLETOP
from spec_vla_ros.device import attention, least_ms
from spec_vla_ros.models.checkpoint import load_openvla
from spec_vla_ros.models.layouts.packed import PackedLlama
from spec_vla_ros.models.layouts.packed_layer import packed_products
from spec_vla_ros.models.layouts.packed_linear import PackedLinear
from spec_vla_ros.models.llama import Llama
from spec_vla_ros.models.llama_config import LlamaConfig

CPU = torch.device('cpu')
ROWS = (1, 2, 4, 7, 24)
RANDOM = ('12x512', '16x1024')
Run = Callable[[], object]
Products = tuple[PackedLinear, ...]


def main() -> None:
    """Print a table for each model."""
    torch.set_num_threads(1)
    for name, model, prompt in models():
        packed = PackedLlama(model)
        layers = [packed_products(layer) for layer in model.model.layers]
        runs = {
            (part, rows): run
            for rows in ROWS
            for part, run in parts_of_a_pass(model.config, packed, layers, prompt, rows).items()
        }
        with torch.inference_mode():
            least = least_ms(runs, device=CPU, repeats=30)
        print(f'{name}, behind {prompt} tokens\n')
        print('| rows | pass, ms | x one row | products, ms | attention, ms | all else, ms |')
        print('|---|---|---|---|---|---|')
        for rows in ROWS:
            whole, products, attends = (
                least[part, rows] for part in ('pass', 'products', 'attention')
            )
            print(
                f'| {rows} | {whole:.2f} | {whole / least["pass", 1]:.2f} | {products:.2f} | '
                f'{attends:.2f} | {whole - products - attends:.2f} |'
            )
        print(flush=True)


def models() -> Iterator[tuple[str, Llama, int]]:
    """Yield name, language model, and number of tokens in the prompt."""
    yield 'shipped policy', load_openvla(TABLETOP, device='cpu').model.language_model, 25
    for name in RANDOM:
        case = RANDOM_CASES[name]
        random = RandomModel(case, device=CPU, dtype=torch.float32, draft_window=8)
        yield name, random.plain, case.prompt_length


def parts_of_a_pass(
    config: LlamaConfig, packed: PackedLlama, layers: Sequence[Products], prompt: int, rows: int
) -> dict[str, Run]:
    """Return functions for a pass of some rows after a prompt, its products, and its attention.

    Args:
        config: of the model.
        packed: the model.
        layers: the matrix products of each layer.
        prompt: number of tokens in the prompt.
        rows: number of tokens in the pass.
    """
    cache = packed.new_cache(prompt + rows)
    embeds = torch.randn(1, rows, config.hidden_size)
    packed(torch.randn(1, prompt, config.hidden_size), positions=range(prompt), cache=cache)

    def whole() -> Tensor:
        cache.rewind(prompt)
        return packed(embeds, positions=range(prompt, prompt + rows), cache=cache)

    wide = torch.randn(rows, config.intermediate_size)
    row = embeds[0]

    def products() -> None:
        for qkv, out, gate_up, down in layers:
            qkv(row)
            out.plus(row, row)
            gate_up(row)
            down.plus(wide, row)

    heads = (1, config.num_attention_heads)
    query = torch.randn(*heads, rows, config.head_dim)
    key = torch.randn(*heads, prompt + rows, config.head_dim)
    seen = torch.zeros(rows, prompt + rows) if rows > 1 else None
    attend = partial(attention, query, key, key, mask=seen, causal=False, grouped=False)

    def attends() -> None:
        for _ in layers:
            attend()

    return {'pass': whole, 'products': products, 'attention': attends}


if __name__ == '__main__':
    main()
