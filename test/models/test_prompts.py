# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Each language model gets the prompt that it was trained with."""

import json
import re

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models
from toy_checkpoint import tiny_tokenizer, write_tiny

from spec_vla_ros.models.checkpoint import load_openvla
from spec_vla_ros.models.prompts import PROMPTS, PromptProcessor, prompt_of
from spec_vla_ros.types import InstructionError

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


def prompts(**options):
    return PromptProcessor(tiny_tokenizer(), vocab_size=320, **options)


def test_prompt_starts_with_bos_and_ends_with_the_empty_piece():
    ids = prompts()('Pick UP the red block')
    words = [tiny_tokenizer().id_to_token(i) for i in ids[0].tolist()]
    text = '<s> In : What action should <unk> robot take to pick up the red block ? Out : \u2581'
    assert words == text.replace('<unk>', 'the').split()
    assert ids.dtype == torch.int64


def test_given_ids_are_completed_only_where_needed():
    empty = tiny_tokenizer().token_to_id('\u2581')
    assert prompts()([7, 8]).tolist() == [[1, 7, 8, empty]]
    assert prompts()([1, 7, empty]).tolist() == [[1, 7, empty]]


@pytest.mark.parametrize('given', [b'pick up', bytearray(b'pick up'), np.bytes_(b'pick up')])
def test_bytes_are_no_ids(given):
    with pytest.raises(InstructionError, match=r'is bytes.*: give its words, instruction.decode'):
        PromptProcessor(None, vocab_size=320)(given)


@pytest.mark.parametrize('given', [None, ['pick up'], [1.5], np.array(b'pick up', object)])
def test_what_is_neither_words_nor_ids_is_told(given):
    with pytest.raises(InstructionError, match=r'neither words .* nor the ids of a prompt'):
        PromptProcessor(None, vocab_size=320)(given)


@pytest.mark.parametrize('given', [[], (), np.array([], int)])
def test_ids_of_no_prompt_are_refused(given):
    """The policy answered to nothing with an action."""
    with pytest.raises(InstructionError, match='an empty list: give the ids of a prompt'):
        prompts()(given)


@pytest.mark.parametrize('given', [[7, 320], [7, -1]])
def test_ids_that_the_policy_does_not_read_are_told(given):
    """Of another tokenizer: looked up on a GPU, they would take the device along."""
    with pytest.raises(InstructionError, match=rf'has the id {given[1]}, .* reads 0 to 319'):
        prompts()(given)


def test_the_prompt_to_warm_up_with_is_as_long_as_one_that_comes():
    """Passes are measured, and on a GPU recorded, by their length."""
    processor = prompts()
    usual = processor('pick up the red block')
    assert processor.usual().shape == usual.shape
    assert PromptProcessor(None, vocab_size=32000).usual().shape == (1, 25)  # the empty piece, too


def test_the_empty_piece_is_llamas_where_there_is_no_tokenizer():
    assert PromptProcessor(None, vocab_size=32000)([1, 5]).tolist() == [[1, 5, 29871]]
    assert PromptProcessor(None, vocab_size=320)([1, 5]).tolist() == [[1, 5]]


@pytest.mark.parametrize('text', ['', '   ', 'pick\nup', 'None', 'up ' * 200])
def test_instructions_that_the_node_refuses_are_refused(text):
    with pytest.raises(InstructionError, match='the instruction'):
        prompts()(text)


def test_blanks_around_an_instruction_do_not_matter():
    assert torch.equal(prompts()(' pick up\n'), prompts()('pick up'))


@pytest.mark.parametrize('blank', ['\u00a0', '  ', '\u3000', '\u2009'])
def test_blanks_within_an_instruction_are_all_one(blank):
    assert torch.equal(prompts()(f'pick{blank}up'), prompts()('pick up'))


def test_a_vocabulary_of_llamas_size_is_to_be_llamas():
    with pytest.raises(ValueError, match="another language model's: its id of the space is 3"):
        PromptProcessor(tiny_tokenizer(), vocab_size=32000)


def test_llamas_tokenizer_does_not_go_with_other_action_ids():
    words = ('<unk>', '<s>', '</s>', *(f'word{i}' for i in range(29868)), '\u2581')
    model = models.WordLevel({word: i for i, word in enumerate(words)}, unk_token='<unk>')
    tokenizer = Tokenizer(model)
    assert PromptProcessor(tokenizer, vocab_size=32000)([1]).tolist() == [[1, 29871]]
    with pytest.raises(ValueError, match=r'32064 text tokens .* would be taken for actions'):
        PromptProcessor(tokenizer, vocab_size=32064)


def test_unknown_words_are_named():
    with pytest.raises(ValueError, match="'purple', 'cat'"):
        prompts()('pick up the purple cat')


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('Pick up the red block.', "marks '.' in the instruction: leave them out"),
        ('pick up, the red block!', "marks ',', '!' in the instruction: leave them out"),
        ('pick up the mug.', "words 'mug', '.': use the words"),
    ],
)
def test_a_mark_that_is_not_known_is_no_word(text, said):
    """It was named together with the prompt's question mark, which nobody wrote."""
    processor = PromptProcessor(tiny_tokenizer(), vocab_size=64)
    with pytest.raises(InstructionError, match=re.escape(f'does not know the {said}')):
        processor(text)


def test_half_characters_are_refused():
    with pytest.raises(ValueError, match='half characters'):
        prompts()('pick \ud83d up')


def test_no_tokenizer_is_explained():
    with pytest.raises(ValueError, match=r'tokenizer\.json'):
        PromptProcessor(None, vocab_size=32000)('pick')


def test_broken_tokenizer_file(tmp_path):
    (tmp_path / 'tokenizer.json').write_text('{}')
    with pytest.raises(ValueError, match='not a tokenizer file'):
        PromptProcessor.from_file(tmp_path / 'tokenizer.json', vocab_size=320)
