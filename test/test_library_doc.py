# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The examples in docs/library.md run as they are, one after the other."""

import re
from pathlib import Path

import numpy as np
from toy_checkpoint import write_tiny

DOC = Path(__file__).parent.parent / 'docs' / 'library.md'


def test_examples_run(tmp_path, capsys):
    code = '\n'.join(re.findall(r'```python\n(.*?)```', DOC.read_text(), re.DOTALL))
    code = code.replace('[1, 512, 29901]', 'INSTRUCTION')
    names = {
        'FOLDER': write_tiny(tmp_path / 'checkpoint'),
        'UNNORM_KEY': 'tiny',
        'INSTRUCTION': 'pick up the red block',
    }
    exec(compile(code, str(DOC), 'exec'), names)
    assert names['logits'].shape == (384,)
    assert names['action_logits'].shape == (256,)
    assert names['step_logits'].argmax(-1).tolist() == names['tokens'].tolist()
    assert np.array_equal(names['tokens'], names['action'].tokens)
    np.testing.assert_allclose(names['values'], names['action'].values)
    assert capsys.readouterr().out
