# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The weights that ship are those whose making is told, and small."""

import hashlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECKPOINTS = ROOT / 'spec_vla_ros' / 'checkpoints'
TOLD = {
    'tabletop/model.safetensors': 'training.md',
    'tabletop/drafter/model.safetensors': 'drafter.md',
    'libero_object/model.safetensors': 'libero.md',
    'libero_object/drafter/model.safetensors': 'libero.md',
}


def test_all_weights_are_told_of():
    found = {str(p.relative_to(CHECKPOINTS)) for p in CHECKPOINTS.rglob('*.safetensors')}
    assert found == set(TOLD)


@pytest.mark.parametrize('weights', TOLD)
def test_their_digest_is_the_one_in_the_page_and_they_are_small(weights):
    content = (CHECKPOINTS / weights).read_bytes()
    assert len(content) <= 25e6
    page = (ROOT / 'docs' / 'how-to' / TOLD[weights]).read_text()
    assert hashlib.sha256(content).hexdigest() in page
