# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Round by round, trees and acceptance equal those of the published Spec-VLA code.

Each round starts from where the published code was, so that one difference does not hide the
next. Trees are compared where the published code's own are stable against rounding.
"""

import json
from functools import cache

import numpy as np
import pytest
import torch
from toy_checkpoint import DATA, make_image, toy_checkpoint, toy_tensor

from spec_vla_ros.decoding.acceptance import accepted_path, exact_match, within_bins
from spec_vla_ros.decoding.draft_tree import DraftTree, TreeShape
from spec_vla_ros.decoding.drafting import TreeDrafter
from spec_vla_ros.decoding.generate import FixedCount
from spec_vla_ros.decoding.speculative import speculative_generate, verify
from spec_vla_ros.models.drafter_files import load_drafter
from spec_vla_ros.models.openvla import multimodal_embeds

PATCHES = 16
ALL_IDS = range(32064)
DRAFT_CONFIG = {
    'model_type': 'llama',
    'vocab_size': 32064,
    'hidden_size': 128,
    'intermediate_size': 344,
    'num_hidden_layers': 1,
    'num_attention_heads': 4,
    'hidden_act': 'silu',
    'rms_norm_eps': 1e-6,
    'rope_scaling': None,
    'tie_word_embeddings': False,
}


@cache
def golden():
    with np.load(DATA / 'spec_public.npz') as file:
        return {key: file[key] for key in file.files}


@pytest.fixture(scope='module')
def draft_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('drafter')
    with np.load(DATA / 'draft_weights.npz') as file:
        weights = {k: torch.from_numpy(file[k].astype(np.float32)) for k in file.files}
    key = 'language_model.model.embed_tokens.weight'
    weights['embed_tokens.weight'] = toy_tensor(key, (32064, 128))
    (folder / 'config.json').write_text(json.dumps(DRAFT_CONFIG))
    torch.save(weights, folder / 'pytorch_model.bin')
    return folder


@cache
@torch.inference_mode()
def prompt(sample):
    """The prompt of a golden sample: token ids are drawn as the published run drew them."""
    seed, index = int(golden()['seed']), int(golden()['candidate'][sample])
    rng = np.random.default_rng([seed, 1000 + index])
    ids = [1, *rng.integers(3, 31744, int(rng.integers(6, 28))).tolist()]
    checkpoint = toy_checkpoint('base')
    pixels = checkpoint.image_processor(make_image(seed, index))
    text = checkpoint.model.prompt_embeds(checkpoint.prompt_processor(ids))
    return multimodal_embeds(text, checkpoint.model.image_embeds(pixels))


class GoldenRound:
    """What the published code did in one round."""

    def __init__(self, prefix, row):
        self._prefix, self._row = f'{prefix}/round/', row

    def __getattr__(self, name):
        return golden()[self._prefix + name][self._row]

    @property
    def ancestors(self):
        return np.unpackbits(self.tree_mask_packed)[:2500].reshape(50, 50).astype(bool)

    @property
    def tree(self):
        ancestors = self.ancestors
        # A parent is the ancestor nearest before the node itself
        above = np.where(ancestors & ~np.eye(50, dtype=bool), np.arange(50), 0)
        arrays = (self.tree_tokens.astype(np.int64), above.max(1), self.tree_pos.astype(np.int64))
        return DraftTree(*map(torch.from_numpy, (*arrays, ancestors)), depth=arrays[2].max())

    @property
    def path(self):
        nodes = self.retrieve[self.best]
        return torch.from_numpy(nodes[nodes >= 0][: self.accept_raw + 1].astype(np.int64))


@pytest.mark.parametrize('mode', ['strict', 'r9', 'r30'])
@pytest.mark.parametrize(('positions', 'prefix'), [('reference', 'refpos'), ('correct', 'fixpos')])
@pytest.mark.parametrize('sample', range(12))
@torch.inference_mode()
def test_rounds(sample, positions, prefix, mode, draft_folder):
    target = toy_checkpoint('base').model.language_model
    model = load_drafter(draft_folder, target, num_patches=PATCHES, position_mode=positions)
    drafter = TreeDrafter(model, target, ids=None)
    distance = 0 if mode == 'strict' else int(mode[1:])
    accept = within_bins([distance] * 7, action_ids=ALL_IDS) if distance else exact_match()
    rows = np.nonzero(golden()[f'{prefix}/{mode}/round/sample'] == sample)[0]
    embeds = prompt(sample)
    cache = target.new_cache(embeds.shape[1] + 100)
    drafter.begin(embeds, num_tokens=100, drafts=True)
    verified = verify(target, embeds, DraftTree.empty(), cache)
    root = verified.choices
    nothing = verified.hidden[:, :0]
    drafter.observe(target.embed(root[None]), verified.hidden, nothing, end=embeds.shape[1])
    for row in rows:
        expected = GoldenRound(f'{prefix}/{mode}', row)
        shape = TreeShape(top_k=8, depth=5, nodes=49)
        drafted = drafter.propose(root, shape, cache.length)
        tree = expected.tree
        if expected.same_in_float64:
            assert torch.equal(drafted.tokens, tree.tokens)
            assert torch.equal(drafted.ancestors, tree.ancestors)
            assert torch.equal(drafted.parents, tree.parents)
            assert torch.equal(drafted.depths, tree.depths)
        past = cache.length
        assert past == expected.kv_len_before
        assert torch.equal(past + tree.depths, torch.from_numpy(expected.abs_pos).long())
        verified = verify(target, target.embed(root[None]), tree, cache)
        path, count = accepted_path(tree, verified.choices, accept, first_dimension=0)
        path = path[: int(count)]
        assert len(path) - 1 == expected.accept_raw
        check_path(tree, verified.choices, path, expected)
        # Go on from where the published code went on
        theirs = expected.path
        cut = min(expected.n_commit, len(theirs))
        assert tree.tokens[theirs][:cut].tolist() == expected.commit[:cut].tolist()
        assert verified.choices[theirs[-1]] == expected.bonus
        cache.gather(theirs[1:] - 1, base=past + 1)
        cache.rewind(past + len(theirs))
        root = verified.choices[theirs[-1:]]
        decided = target.embed(torch.cat((tree.tokens[theirs[1:]], root))[None])
        hidden = verified.hidden
        drafter.observe(decided, hidden[:, :1], hidden[:, theirs[1:]], end=past + 1)


def check_path(tree, choices, path, expected):
    """Ours is the published path, or an equally long one that is nearer to the target."""

    def off(nodes):
        below = nodes[1:]
        return int((tree.tokens[below] - choices[tree.parents[below]]).abs().sum())

    if not torch.equal(path, expected.path):
        assert off(path) < off(expected.path)


@pytest.mark.parametrize('positions', ['reference', 'correct'])
@pytest.mark.parametrize('sample', range(12))
def test_strict_gives_the_autoregressive_tokens(sample, positions, draft_folder):
    checkpoint = toy_checkpoint('base')
    target = checkpoint.model.language_model
    drafter = load_drafter(draft_folder, target, num_patches=PATCHES, position_mode=positions)
    action_ids = checkpoint.config.codec('toy_suite').action_ids
    decoded = speculative_generate(
        target,
        TreeDrafter(drafter, target, ids=action_ids),
        prompt(sample),
        accept=exact_match(),
        tree=TreeShape(),
        stop=FixedCount(7),
    )
    assert decoded.tokens.tolist() == golden()['ar_tokens'][sample].tolist()
    assert decoded.tokens.tolist() == golden()['refpos/strict/first7'][sample].tolist()
