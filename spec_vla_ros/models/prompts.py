# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Makes prompts of instructions: the words around them, and their token ids.

Each language model that OpenVLA's configuration can name was trained with one prompt, and
understands no other (prismatic/models/backbones/llm in the published code).
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from spec_vla_ros.models.text_tokenizers import (
    TOKENIZER_FILES,
    TextTokenizer,
    encode,
    id_of,
    read_json_tokenizer,
)
from spec_vla_ros.types import InstructionError, instruction_fault

_QUESTION = 'What action should the robot take to {instruction}?'
PURE = f'In: {_QUESTION}\nOut:'
_LLAMA_CHAT = (
    '[INST] <<SYS>\n'  # one bracket is missing in the published code, and so in the training
    'You are a helpful language and vision assistant. You are able to understand the visual '
    'content that the user provides, and assist the user with a variety of tasks using natural '
    f'language.\n<</SYS>>\n\n{_QUESTION} [/INST]'
)
_VICUNA = (
    'A chat between a curious user and an artificial intelligence assistant. The assistant gives '
    f"helpful, detailed, and polite answers to the user's questions. USER: {_QUESTION} ASSISTANT:"
)

DEFAULT_BACKBONE = 'llama2-7b-pure'
"""The language model if config.json names none, as those of OpenVLA and its fine-tunes."""

PROMPTS = {
    DEFAULT_BACKBONE: PURE,
    'llama2-13b-pure': PURE,
    'llama2-7b-chat': _LLAMA_CHAT,
    'llama2-13b-chat': _LLAMA_CHAT,
    'vicuna-v15-7b': _VICUNA,
    'vicuna-v15-13b': _VICUNA,
    'spec-vla-tiny-llama': PURE,  # the small policies that come with the package
}
"""`llm_backbone_id` -> its prompt, with `{instruction}` in place of the instruction."""

_OTHER_MODELS = {'mistral': 'Mistral', 'phi-2': 'Phi-2', 'qwen': 'Qwen'}
"""Parts of the names of language models that others made such policies of, as MiniVLA of Qwen."""

_USUAL, _USUAL_LENGTH = 'pick up the red block', 24  # and the tokens of its prompt with Llama

_EMPTY_PIECE = '\u2581'  # SentencePiece's lone space; OpenVLA was trained with it at the end
_LLAMA_VOCABULARY, _LLAMA_EMPTY_ID = 32000, 29871


def prompt_of(backbone: object) -> str:
    """Return the prompt with which a language model was trained, by its `llm_backbone_id`.

    Raises:
        ValueError: it is not a Llama, or its prompt is not known.
    """
    if isinstance(backbone, str) and backbone in PROMPTS:
        return PROMPTS[backbone]
    if other := other_language_model(backbone):
        raise ValueError(f'llm_backbone_id {backbone!r} is {other}')
    raise ValueError(
        f'llm_backbone_id {backbone!r} is not known, and so neither is the prompt that it was '
        f'trained with; known are {", ".join(PROMPTS)}'
    )


def other_language_model(name: object) -> str:
    """Say in words that a model is made of no Llama, by a name; empty if the name does not say so.

    name: an `llm_backbone_id`, or what OpenVLA's training calls the model that it began with.
    """
    for part, kind in _OTHER_MODELS.items():
        if isinstance(name, str) and part in name.lower():
            return f'a {kind} language model: only Llama and its descendants are computed here'
    return ''


class PromptProcessor:
    """Turns instructions, or prompts given as token ids, into the token ids of complete prompts.

    Args:
        tokenizer: the checkpoint's; None if it has none, so that prompts must be given as ids.
        vocab_size: the text vocabulary without its padding.
        bos_token_id: the first token of every prompt.
        template: the words around an instruction, see `PROMPTS`.

    Raises:
        ValueError: the vocabulary is as large as Llama 2's and the tokenizer is not Llama's, or
            the other way round.
    """

    def __init__(
        self,
        tokenizer: TextTokenizer | None,
        *,
        vocab_size: int,
        bos_token_id: int = 1,
        template: str = PURE,
    ) -> None:
        self._tokenizer = tokenizer
        self._bos, self._vocab_size = bos_token_id, vocab_size
        self._template = template
        if tokenizer is not None:
            self._empty = id_of(tokenizer, _EMPTY_PIECE)
            llamas = self._empty == _LLAMA_EMPTY_ID
            if llamas and vocab_size != _LLAMA_VOCABULARY:
                raise ValueError(
                    f'config.json has {vocab_size} text tokens without padding, and the tokenizer '
                    f"is Llama 2's with {_LLAMA_VOCABULARY}: other ids would be taken for "
                    'actions. text_config.vocab_size less pad_to_multiple_of must be '
                    f'{_LLAMA_VOCABULARY}, whatever tokens were added'
                )
            if vocab_size == _LLAMA_VOCABULARY and not llamas:
                raise ValueError(
                    f"the tokenizer is another language model's: its id of the space is "
                    f'{self._empty}, and Llama 2 has {_LLAMA_EMPTY_ID}; put the tokenizer of this '
                    'checkpoint there'
                )
        else:
            self._empty = _LLAMA_EMPTY_ID if vocab_size == _LLAMA_VOCABULARY else None

    @classmethod
    def from_file(cls, path: str | Path, *, vocab_size: int) -> PromptProcessor:
        """Make a processor with the tokenizer of a tokenizer.json; without one if it is missing.

        Raises:
            ValueError: the file cannot be read as a tokenizer.
        """
        tokenizer = read_json_tokenizer(Path(path)) if Path(path).exists() else None
        return cls(tokenizer, vocab_size=vocab_size)

    def __call__(self, instruction: str | Sequence[int]) -> Tensor:
        """Instruction in words, or a prompt's token ids -> ids of the whole prompt, (1, L) int64.

        Raises:
            InstructionError: the instruction is empty, is neither words nor ids, has words that
                the tokenizer does not know, or is refused by `instruction_fault`.
            ValueError: there is no tokenizer, or the instruction holds surrogates.
        """
        if isinstance(instruction, str):
            ids = self._encode(instruction)
        else:
            ids = _given_ids(instruction, vocab_size=self._vocab_size)
        if not ids or ids[0] != self._bos:
            ids.insert(0, self._bos)
        if self._empty is not None and ids[-1] != self._empty:
            ids.append(self._empty)
        return torch.tensor([ids], dtype=torch.int64)

    def usual(self) -> Tensor:
        """Return a prompt of usual length for warming up, (1, L) int64."""
        ids = [self._bos] * _USUAL_LENGTH
        if self._tokenizer is not None:
            ids, _ = encode(self._tokenizer, self._template.format(instruction=_USUAL))
        return self(ids)

    def _encode(self, instruction: str) -> list[int]:
        if self._tokenizer is None:
            raise ValueError(
                f'the checkpoint has no {" or ".join(TOKENIZER_FILES)}, so instructions cannot be '
                'read: add the file that belongs to its language model'
            )
        instruction = instruction.strip()
        fault = instruction_fault(instruction)
        if fault or not instruction:
            raise InstructionError(fault or 'the instruction is empty: say what to do')
        if any('\ud800' <= c <= '\udfff' for c in instruction):
            raise ValueError('the instruction holds half characters (surrogates): give whole text')
        words = ' '.join(instruction.lower().split())  # other white space has other tokens
        prompt = self._template.format(instruction=words)
        ids, unknown = encode(self._tokenizer, prompt)
        if unknown:
            raise InstructionError(f'the policy does not know {_unknown_in_words(unknown, words)}')
        return ids


def _unknown_in_words(pieces: Sequence[str], words: str) -> str:
    """Name the pieces of a prompt that the tokenizer does not know, and say what to do.

    words: the instruction; a mark at its end is one piece with the prompt's question mark.
    """
    named = [piece if piece in words else piece.removesuffix('?') for piece in pieces]
    listed = ', '.join(map(repr, named))
    if any(character.isalnum() for piece in named for character in piece):
        return f'the words {listed}: use the words of the instructions it was trained on'
    return f'the marks {listed} in the instruction: leave them out'


def _given_ids(prompt: Sequence[int], *, vocab_size: int) -> list[int]:
    """Return the ids of a prompt; InstructionError if it has none or unknown ones."""
    if isinstance(prompt, bytes | bytearray):  # their elements would be taken for ids
        raise InstructionError(
            'the instruction is bytes, as data sets of TensorFlow have it: give its words, '
            'instruction.decode()'
        )
    try:
        ids = [operator.index(number) for number in prompt]
    except TypeError as error:
        raise InstructionError(
            f'the instruction is {prompt!r:.60}, which is neither words (one str) nor the ids of '
            'a prompt (whole numbers)'
        ) from error
    if not ids:
        raise InstructionError('the instruction is an empty list: give the ids of a prompt')
    if other := [number for number in ids if not 0 <= number < vocab_size]:
        raise InstructionError(
            f'the instruction has the id {other[0]}, and the policy reads 0 to {vocab_size - 1}: '
            "give the ids of this checkpoint's tokenizer, without padding"
        )
    return ids
