# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The small policy's files are an OpenVLA checkpoint's: its own loader's classes read them."""

import json

import numpy as np
import pytest

from spec_vla_ros.models.openvla import OpenVLAConfig
from spec_vla_ros.models.prompts import PromptProcessor
from spec_vla_ros.sim.scene import COLOURS, instruction_for
from spec_vla_ros.training.small_model import (
    TABLETOP,
    VOCABULARY,
    Design,
    norm_stats,
    small_tokenizer,
    write_small_files,
)


@pytest.fixture
def folder(tmp_path):
    actions = np.random.default_rng(0).uniform(-0.02, 0.02, (500, 7))
    stats = norm_stats(actions, name=TABLETOP.name, trajectories=10)
    write_small_files(tmp_path, TABLETOP, stats)
    return tmp_path


def test_config_describes_the_vocabulary(folder):
    config = OpenVLAConfig.from_dict(json.loads((folder / 'config.json').read_text()))
    codec = config.codec('tabletop')
    assert config.vocab_size == VOCABULARY
    assert codec.action_ids == range(VOCABULARY - 256, VOCABULARY)
    assert codec.stats.dimensions == 7
    np.testing.assert_array_equal(codec.stats.mask, [True] * 6 + [False])


def test_prompts_are_short_and_end_with_the_empty_piece(folder):
    prompts = PromptProcessor.from_file(folder / 'tokenizer.json', vocab_size=VOCABULARY)
    ids = [prompts(instruction_for(colour)) for colour in COLOURS]
    assert {tuple(i.shape) for i in ids} == {(1, 9)}
    assert all(i[0, 0] == 1 for i in ids)
    assert all(i[0, -1] == small_tokenizer(TABLETOP).token_to_id('\u2581') for i in ids)
    assert len({tuple(i.flatten().tolist()) for i in ids}) == len(COLOURS)


def test_no_text_token_is_an_action(folder):
    tokenizer = small_tokenizer(TABLETOP)
    assert max(tokenizer.get_vocab().values()) < VOCABULARY - 256


def test_unknown_words_are_named(folder):
    prompts = PromptProcessor.from_file(folder / 'tokenizer.json', vocab_size=VOCABULARY)
    with pytest.raises(ValueError, match='towel'):
        prompts('pick up the towel')


def test_phrases_are_single_tokens_and_words_beside_them_their_own():
    design = Design(
        name='suite',
        instructions=('pick up the soup and stir', 'pick up the cream cheese and stir'),
        phrases=('pick up the', 'cream cheese'),
        image_size=128,
        towers=('one', 'other'),
    )
    tokenizer = small_tokenizer(design)
    first, second = (tokenizer.encode(text).tokens for text in design.instructions)
    assert first == ['<s>', 'pick up the', 'soup', 'and', 'stir']
    assert second == ['<s>', 'pick up the', 'cream cheese', 'and', 'stir']
    assert small_tokenizer(design).token_to_id('cream') is None


def test_more_words_than_there_are_tokens_for_are_refused():
    words = ' '.join(f'word{i}' for i in range(80))
    design = Design(name='x', instructions=(words,), image_size=64, towers=TABLETOP.towers)
    with pytest.raises(ValueError, match='do not fit'):
        small_tokenizer(design)
