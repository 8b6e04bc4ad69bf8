# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The examples in the library page and in the README run as they are, one after the other."""

import json
import re
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from toy_checkpoint import tiny_config, write_tiny

from spec_vla_ros.models.drafter import Drafter
from spec_vla_ros.models.llama_config import LlamaConfig

ROOT = Path(__file__).parents[2]


def write_drafter(folder):
    folder.mkdir()
    config = tiny_config()['text_config']
    (folder / 'config.json').write_text(json.dumps(config))
    torch.manual_seed(0)
    save_file(Drafter(LlamaConfig.from_dict(config)).state_dict(), folder / 'model.safetensors')
    return folder


def run_examples(document, tmp_path):
    """Run a document's Python examples with a toy checkpoint and return their names."""
    code = '\n'.join(re.findall(r'```python\n(.*?)```', document.read_text(), re.DOTALL))
    code = code.replace('[1, 512, 29901]', 'INSTRUCTION')
    names = {
        'DRAFTER_FOLDER': write_drafter(tmp_path / 'drafter'),
        'FOLDER': write_tiny(tmp_path / 'checkpoint'),
        'UNNORM_KEY': 'tiny',
        'INSTRUCTION': 'pick up the red block',
    }
    exec(compile(code, str(document), 'exec'), names)
    assert names['logits'].shape == (384,)
    assert np.array_equal(names['tokens'], names['action'].tokens)
    np.testing.assert_allclose(names['values'], names['action'].values)
    return names


def test_library_examples_run(tmp_path, capsys):
    names = run_examples(ROOT / 'docs' / 'how-to' / 'library.md', tmp_path)
    assert names['action_logits'].shape == (256,)
    assert names['step_logits'].argmax(-1).tolist() == names['tokens'].tolist()
    assert names['decoded'].tokens.shape == names['decoded'].choices.shape == (7,)
    assert names['tree'].ancestors.shape == (50, 50)
    assert names['cache'].length == names['length'] + 1 + len(names['committed'])
    assert capsys.readouterr().out


def test_readme_examples_run(tmp_path, capsys):
    names = run_examples(ROOT / 'README.md', tmp_path)
    np.testing.assert_allclose(names['normalised'], names['action'].normalised)
    assert capsys.readouterr().out
