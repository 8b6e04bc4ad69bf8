# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""A checkpoint in several files becomes a model that is ready to decode without a second copy."""

import errno
import json
from pathlib import Path

import pytest
import torch
from processes import KILOBYTES, RETURNED_WHEN_FREED, run_python
from safetensors.torch import load_file, save_file

from spec_vla_ros.models.files.safetensors_files import find_tensors, save_tensors
from spec_vla_ros.models.llama import Llama
from spec_vla_ros.models.llama_config import LlamaConfig

SHAPE = {
    'hidden_size': 512,
    'intermediate_size': 1376,
    'num_attention_heads': 8,
    'num_hidden_layers': 24,
    'vocab_size': 1000,
}
SHARDS = 3
LOAD = """
import json, sys
from pathlib import Path
import torch
from spec_vla_ros.models.llama import Llama
from spec_vla_ros.models.llama_config import LlamaConfig
from spec_vla_ros.models.layouts.packed import PackedLlama
from spec_vla_ros.models.files.safetensors_files import find_tensors, load_tensors
folder, shape, dtype = Path(sys.argv[1]), json.loads(sys.argv[2]), getattr(torch, sys.argv[3])
with torch.device('meta'):
    model = Llama(LlamaConfig.from_dict(shape))
torch.mm(torch.ones(9, 9), torch.ones(9, 9))
before = kilobytes('VmRSS')  # behind what torch itself loads for all that
seen = []
load_tensors(
    model, find_tensors(folder), key_of=str, device=torch.device('cpu'), dtype=dtype,
    progress=lambda done, total: seen.append((done, total)),
)
packed = PackedLlama(model.eval(), twice=False)
weights = sum(p.nbytes for p in model.parameters())
peak = (kilobytes('VmHWM') - before) * 1024 / weights
total = seen[-1][1]
assert all(a[0] < b[0] and b[1] == total for a, b in zip(seen, seen[1:])) and seen[-1][0] == total
print(peak, len(seen), float(model.lm_head.weight.float().sum()))
"""


@pytest.fixture(scope='module')
def sharded(tmp_path_factory):
    """A folder with bfloat16 weights in several files, and the sum of the head's."""
    folder = tmp_path_factory.mktemp('sharded')
    torch.manual_seed(0)
    model = Llama(LlamaConfig.from_dict(SHAPE)).to(torch.bfloat16)
    state = {k: v.detach().contiguous() for k, v in model.named_parameters()}
    keys = sorted(state)
    index = {}
    for shard in range(SHARDS):
        name = f'model-{shard + 1:05}-of-{SHARDS:05}.safetensors'
        part = keys[shard::SHARDS]
        save_file({k: state[k] for k in part}, str(folder / name), metadata={'format': 'pt'})
        index |= dict.fromkeys(part, name)
    (folder / 'model.safetensors.index.json').write_text(json.dumps({'weight_map': index}))
    return folder, len(keys), float(state['lm_head.weight'].float().sum())


@pytest.mark.slow
@pytest.mark.parametrize('dtype', ['bfloat16', 'float32'])
def test_peak_memory_is_at_most_a_fifth_above_the_weights(sharded, dtype):
    folder, count, head_sum = sharded
    done = run_python(
        '-c', KILOBYTES + LOAD, folder, json.dumps(SHAPE), dtype, **RETURNED_WHEN_FREED
    )
    peak, seen, total = done.stdout.split()
    assert float(peak) <= 1.2
    assert int(seen) == count
    assert float(total) == pytest.approx(head_sum, rel=1e-4)


def test_weights_may_be_read_by_whoever_may_read_other_files(tmp_path):
    """A drafter that one user trained is run by the robot's."""
    other, weights = tmp_path / 'config.json', tmp_path / 'model.safetensors'
    other.write_text('{}')
    save_tensors({'a': torch.arange(3.0)}, weights)
    assert weights.stat().st_mode == other.stat().st_mode
    assert load_file(weights)['a'].tolist() == [0.0, 1.0, 2.0]


def test_what_cannot_be_written_leaves_what_is_there(tmp_path, monkeypatch):
    """A drafter that a robot uses is not lost to a disk that is full."""
    file = tmp_path / 'model.safetensors'
    save_tensors({'a': torch.ones(2)}, file)
    write_bytes = Path.write_bytes

    def half(path, data):
        write_bytes(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(Path, 'write_bytes', half)
    with pytest.raises(OSError, match='No space left'):
        save_tensors({'a': torch.zeros(2)}, file)
    assert load_file(file)['a'].tolist() == [1.0, 1.0]
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_what_config_json_says_is_not_among_the_weights(tmp_path):
    """Older releases of transformers saved it, and newer ones leave it out while loading."""
    computed = 'model.layers.0.self_attn.rotary_emb.inv_freq'
    save_tensors({'a': torch.ones(2), computed: torch.ones(4)}, tmp_path / 'model.safetensors')
    index = {'weight_map': dict.fromkeys(('a', computed), 'model.safetensors')}
    (tmp_path / 'model.safetensors.index.json').write_text(json.dumps(index))
    assert set(find_tensors(tmp_path)) == {'a'}
