# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""Reads a checkpoint's tokenizer: tokenizer.json, or SentencePiece's tokenizer.model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from tokenizers import Tokenizer

from spec_vla_ros.models.files.folders import check_readable, is_there, mend

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

TextTokenizer: TypeAlias = 'Tokenizer | SentencePieceProcessor'

TOKENIZER_FILES = ('tokenizer.json', 'tokenizer.model')
"""Possible files of the tokenizer; the first one that exists is read."""

_WAY_ON = (
    'write tokenizer.json instead, with `AutoTokenizer.from_pretrained(folder)'
    '.save_pretrained(folder)` of the transformers library'
)


def tokenizer_file(folder: Path) -> Path | None:
    """Return the file of a folder's tokenizer; None if it has none.

    Raises:
        CheckpointError: the file is a link to nothing.
    """
    found = (folder / name for name in TOKENIZER_FILES)
    return next((file for file in found if is_there(file)), None)


def require_tokenizer(folder: Path) -> None:
    """Make sure that a folder has a tokenizer, for programs that take instructions in words.

    Raises:
        ValueError: the folder has no tokenizer.
    """
    if tokenizer_file(folder) is None:
        raise ValueError(
            f'{folder} has no {" or ".join(TOKENIZER_FILES)}, so no instruction could be read: '
            'add the file that belongs to its language model'
        )


def read_tokenizer(folder: Path) -> TextTokenizer | None:
    """Read a folder's tokenizer; None if it has none.

    Raises:
        ValueError: its file cannot be read; the message says why and what to do.
    """
    file = tokenizer_file(folder)
    if file is None:
        return None
    return read_sentencepiece(file) if file.suffix == '.model' else read_json_tokenizer(file)


def read_json_tokenizer(file: Path) -> Tokenizer:
    """Read a tokenizer.json.

    It may hold settings for truncation and padding from its last use, which are switched off.

    Raises:
        ValueError: the file cannot be read as a tokenizer.
    """
    check_readable(file)
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises plain Exception
        raise ValueError(f'{file} is not a tokenizer file ({error}): {mend(file)}') from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def read_sentencepiece(file: Path) -> SentencePieceProcessor:
    """Read a tokenizer.model, as Llama's own tokenizer is published.

    Raises:
        ValueError: the file cannot be read, or the sentencepiece library is not installed.
    """
    try:
        from sentencepiece import SentencePieceProcessor
    except ModuleNotFoundError:
        raise ValueError(
            f'{file} can only be read with the sentencepiece library: pip install sentencepiece, '
            f'or {_WAY_ON}'
        ) from None
    try:
        return SentencePieceProcessor(model_file=str(file))
    except Exception as error:  # sentencepiece raises RuntimeError, OSError, TypeError
        raise ValueError(
            f'{file} is not a SentencePiece model ({error}): {mend(file)}, or {_WAY_ON}'
        ) from error


def encode(tokenizer: TextTokenizer, text: str) -> tuple[list[int], list[str]]:
    """Text -> its token ids without special tokens, and the parts for which there is no token."""
    if isinstance(tokenizer, Tokenizer):
        # Some tokenizers would also add `</s>`, after which the model has learnt no actions.
        encoding = tokenizer.encode(text, add_special_tokens=False)
        unknown_token = getattr(tokenizer.model, 'unk_token', None)
        pairs = zip(encoding.tokens, encoding.offsets, strict=True)
        unknown = [text[start:end] for token, (start, end) in pairs if token == unknown_token]
        return list(encoding.ids), unknown
    ids: list[int] = list(tokenizer.EncodeAsIds(text))
    pieces: list[str] = list(tokenizer.EncodeAsPieces(text))
    unknown_id = tokenizer.unk_id()
    return ids, [p for number, p in zip(ids, pieces, strict=True) if number == unknown_id]


def largest_id(tokenizer: TextTokenizer) -> int:
    """Return the largest id that a tokenizer can give, added tokens included."""
    if isinstance(tokenizer, Tokenizer):
        return max(tokenizer.get_vocab(with_added_tokens=True).values(), default=0)
    return int(tokenizer.vocab_size()) - 1


def id_of(tokenizer: TextTokenizer, piece: str) -> int | None:
    """Return the id of a piece; None if the tokenizer has no such piece."""
    if isinstance(tokenizer, Tokenizer):
        found: int | None = tokenizer.token_to_id(piece)
        return found
    number = int(tokenizer.piece_to_id(piece))
    return None if number == tokenizer.unk_id() else number
