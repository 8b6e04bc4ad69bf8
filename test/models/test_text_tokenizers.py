# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""An instruction is read by whichever tokenizer the checkpoint has."""

import sys

import numpy as np
import pytest
from sentencepiece import SentencePieceTrainer
from tokenizers import Tokenizer, processors
from toy_checkpoint import tiny_tokenizer, write_tiny

from spec_vla_ros.models.checkpoint import load_openvla
from spec_vla_ros.models.prompts import PromptProcessor
from spec_vla_ros.models.text_tokenizers import read_sentencepiece, read_tokenizer
from spec_vla_ros.policy import load_policy
from spec_vla_ros.types import InstructionError, Observation

EXPECTED = 'In: What action should the robot take to pick up the red block?\nOut:'


@pytest.fixture(scope='module')
def model_file(tmp_path_factory):
    """A tokenizer.model as Llama's: BPE, a byte for what it does not know, a leading space."""
    file = tmp_path_factory.mktemp('pieces') / 'tokenizer.model'
    texts = [EXPECTED.replace('\n', ' ').lower(), EXPECTED.replace('\n', ' ')]
    with open(file, 'wb') as written:
        SentencePieceTrainer.train(
            sentence_iterator=iter(texts * 20),
            model_writer=written,
            model_type='bpe',
            vocab_size=310,
            byte_fallback=True,
            normalization_rule_name='identity',
            remove_extra_whitespaces=False,
            minloglevel=2,
        )
    return file


@pytest.fixture
def folder(tmp_path, model_file):
    """A checkpoint with tokenizer.model and no tokenizer.json."""
    folder = write_tiny(tmp_path / 'checkpoint')
    (folder / 'tokenizer.json').unlink()
    (folder / 'tokenizer.model').write_bytes(model_file.read_bytes())
    return folder


def test_a_sentencepiece_tokenizer_is_read(folder, model_file):
    pieces = read_sentencepiece(model_file)
    prompts = load_openvla(folder, device='cpu').prompt_processor
    ids = prompts('Pick up the red block')[0].tolist()
    empty = pieces.piece_to_id('\u2581')
    assert ids == [1, *pieces.encode(EXPECTED), empty]
    assert pieces.decode(ids[1:-1]) == EXPECTED
    assert empty != pieces.unk_id()


def test_its_policy_takes_instructions(folder):
    seen = Observation(np.zeros((20, 30, 3), np.uint8), 'pick up the red block')
    assert load_policy(folder, device='cpu').infer(seen).values.shape == (7,)


def test_tokenizer_json_comes_first(folder):
    tiny_tokenizer().save(str(folder / 'tokenizer.json'))
    assert isinstance(read_tokenizer(folder), Tokenizer)


def test_a_length_that_was_saved_with_a_tokenizer_cuts_and_pads_nothing(tmp_path):
    """As one is saved that was used for a batch: the end of the prompt would be left out."""
    expected = tiny_tokenizer().encode(EXPECTED).ids
    for change in ('enable_truncation', 'enable_padding'):
        saved = tiny_tokenizer()
        getattr(saved, change)(**({'max_length': 6} if 'trunc' in change else {'length': 60}))
        saved.save(str(tmp_path / 'tokenizer.json'))
        assert read_tokenizer(tmp_path).encode(EXPECTED).ids == expected


def test_words_that_a_sentencepiece_model_does_not_know(tmp_path):
    file = tmp_path / 'tokenizer.model'
    with open(file, 'wb') as written:
        SentencePieceTrainer.train(
            sentence_iterator=iter([EXPECTED.lower()] * 9),
            model_writer=written,
            vocab_size=60,
            hard_vocab_limit=False,
            minloglevel=2,
        )
    prompts = PromptProcessor(
        read_sentencepiece(file), vocab_size=320, template='what {instruction}'
    )
    with pytest.raises(InstructionError, match='\u96ea'):
        prompts('\u96ea')


def test_a_broken_sentencepiece_model_is_told_while_loading(folder):
    (folder / 'tokenizer.model').write_bytes(b'not a model')
    with pytest.raises(ValueError, match=r'tokenizer\.model is not a SentencePiece model'):
        load_policy(folder, device='cpu')


def test_the_missing_library_is_told_while_loading(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, 'sentencepiece', None)
    with pytest.raises(ValueError, match=r'pip install sentencepiece.*save_pretrained'):
        load_policy(folder, device='cpu')


def test_what_a_tokenizer_puts_behind_a_text_is_left_out():
    """The prompt ends as OpenVLA's does, whatever else a tokenizer was used for."""
    words = 'pick up the red block'
    usual, ending = tiny_tokenizer(), tiny_tokenizer()
    ending.post_processor = processors.TemplateProcessing(
        single='<s> $A </s>', special_tokens=[('<s>', 1), ('</s>', 2)]
    )
    prompts = [PromptProcessor(tokenizer, vocab_size=64) for tokenizer in (usual, ending)]
    assert prompts[1](words).tolist() == prompts[0](words).tolist()
    assert prompts[1].usual().tolist() == prompts[0].usual().tolist()
    assert prompts[0](words)[0, :2].tolist() == [1, usual.token_to_id('In')]
