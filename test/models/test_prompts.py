# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Each language model gets the prompt that it was trained with, by whichever tokenizer it has."""

import json
import sys

import numpy as np
import pytest
from sentencepiece import SentencePieceTrainer
from tokenizers import Tokenizer, decoders, models
from toy_checkpoint import write_tiny

from spec_vla_ros.models.checkpoint import load_openvla
from spec_vla_ros.models.processing import PromptProcessor
from spec_vla_ros.models.prompts import (
    PROMPTS,
    UnknownWordsError,
    prompt_of,
    read_sentencepiece,
    read_tokenizer,
)
from spec_vla_ros.policy import load_policy
from spec_vla_ros.types import Observation

QUESTION = 'What action should the robot take to pick up the red block?'
ASSISTANT = (
    'A chat between a curious user and an artificial intelligence assistant. '
    "The assistant gives helpful, detailed, and polite answers to the user's questions. "
)
LANGUAGE_AND_VISION = (
    'You are a helpful language and vision assistant. You are able to understand the visual '
    'content that the user provides, and assist the user with a variety of tasks using natural '
    'language.'
)
EXPECTED = {
    'pure': f'In: {QUESTION}\nOut:',
    'chat': f'[INST] <<SYS>\n{LANGUAGE_AND_VISION}\n<</SYS>>\n\n{QUESTION} [/INST]',
    'vicuna': f'{ASSISTANT}USER: {QUESTION} ASSISTANT:',
}


def bytes_tokenizer():
    """A tokenizer that knows every text: one token each byte."""
    vocabulary = {f'<0x{i:02X}>': i + 4 for i in range(256)}
    fixed = {'<unk>': 0, '<s>': 1, '</s>': 2, '\u2581': 3}
    tokenizer = Tokenizer(models.BPE({**fixed, **vocabulary}, [], byte_fallback=True))
    tokenizer.decoder = decoders.ByteFallback()
    return tokenizer


@pytest.mark.parametrize(
    ('backbone', 'kind'),
    [
        (None, 'pure'),
        ('llama2-7b-pure', 'pure'),
        ('llama2-13b-pure', 'pure'),
        ('llama2-7b-chat', 'chat'),
        ('llama2-13b-chat', 'chat'),
        ('vicuna-v15-7b', 'vicuna'),
        ('vicuna-v15-13b', 'vicuna'),
    ],
)
def test_the_prompt_of_each_backbone(tmp_path, backbone, kind):
    folder = write_tiny(tmp_path / 'checkpoint', fused=False)
    config = json.loads((folder / 'config.json').read_text())
    (folder / 'config.json').write_text(json.dumps({**config, 'llm_backbone_id': backbone}))
    bytes_tokenizer().save(str(folder / 'tokenizer.json'))
    prompts = load_openvla(folder, device='cpu').prompt_processor
    ids = prompts('Pick up the RED block')[0].tolist()
    assert (ids[0], ids[-1]) == (1, 3)
    assert bytes_tokenizer().decode(ids[1:-1]) == EXPECTED[kind]


def test_every_known_backbone_has_a_place_for_the_instruction():
    for backbone in PROMPTS:
        assert '{instruction}' in prompt_of(backbone)


@pytest.fixture(scope='module')
def model_file(tmp_path_factory):
    """A tokenizer.model as Llama's: BPE, a byte for what it does not know, a leading space."""
    file = tmp_path_factory.mktemp('pieces') / 'tokenizer.model'
    texts = [EXPECTED['pure'].replace('\n', ' ').lower(), EXPECTED['pure'].replace('\n', ' ')]
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
    assert ids == [1, *pieces.encode(EXPECTED['pure']), empty]
    assert pieces.decode(ids[1:-1]) == EXPECTED['pure']
    assert empty != pieces.unk_id()


def test_its_policy_takes_instructions(folder):
    seen = Observation(np.zeros((20, 30, 3), np.uint8), 'pick up the red block')
    assert load_policy(folder, device='cpu').infer(seen).values.shape == (7,)


def test_tokenizer_json_comes_first(folder):
    bytes_tokenizer().save(str(folder / 'tokenizer.json'))
    assert isinstance(read_tokenizer(folder), Tokenizer)


def test_words_that_a_sentencepiece_model_does_not_know(tmp_path):
    file = tmp_path / 'tokenizer.model'
    with open(file, 'wb') as written:
        SentencePieceTrainer.train(
            sentence_iterator=iter([EXPECTED['pure'].lower()] * 9),
            model_writer=written,
            vocab_size=60,
            hard_vocab_limit=False,
            minloglevel=2,
        )
    prompts = PromptProcessor(
        read_sentencepiece(file), vocab_size=320, template='what {instruction}'
    )
    with pytest.raises(UnknownWordsError, match='\u96ea'):
        prompts('\u96ea')


def test_a_broken_sentencepiece_model_is_told_while_loading(folder):
    (folder / 'tokenizer.model').write_bytes(b'not a model')
    with pytest.raises(ValueError, match=r'tokenizer\.model is not a SentencePiece model'):
        load_policy(folder, device='cpu')


def test_the_missing_library_is_told_while_loading(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, 'sentencepiece', None)
    with pytest.raises(ValueError, match=r'pip install sentencepiece.*save_pretrained'):
        load_policy(folder, device='cpu')
