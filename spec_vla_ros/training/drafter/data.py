# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The data that a drafter learns from: the frozen target's features on prompts that it answered.

The prompts hold only the image and the instruction, as in inference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from spec_vla_ros.models.checkpoint import OpenVLACheckpoint
from spec_vla_ros.models.files.safetensors_files import save_tensors
from spec_vla_ros.models.llama import Llama
from spec_vla_ros.models.observation_encoder import ObservationEncoder
from spec_vla_ros.types import Observation

SHARD_SIZE = 512
_LOOKED_AT = 64  # examples that `embedded_by` compares
_FEATURES = 'features_*.safetensors'

Tokens = np.ndarray | Callable[[], np.ndarray]
"""(D,) int64, the target's own choices; or a function that returns them when they are needed."""


@dataclass(frozen=True, slots=True)
class Example:
    """One prompt, and the target's answer.

    image: (H, W, 3) uint8 RGB.
    instruction: the instruction in the prompt.
    episode: number of the episode that it is from.
    tokens: the target's answer.
    """

    image: np.ndarray
    instruction: str
    episode: int
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class TargetFeatures:
    """The target's features for N prompts and the D tokens that it chose after each.

    embeds: (N, S, H), input embeddings of prompt and action tokens, padded at the end.
    hidden: (N, S, H), hidden states after the final norm, padded likewise.
    lengths: (N,) int64, tokens of the prompt; D - 1 action tokens follow.
    tokens: (N, D) int64, the chosen tokens.
    episodes: (N,) int64, number of the episode that each prompt is from.
    """

    embeds: Tensor
    hidden: Tensor
    lengths: Tensor
    tokens: Tensor
    episodes: Tensor

    def __len__(self) -> int:
        return len(self.lengths)

    def select(self, index: Tensor) -> TargetFeatures:
        """Return the examples at the places in index, (M,) int64."""
        return TargetFeatures(**{name: getattr(self, name)[index] for name in self.__slots__})

    def end_of_prompt(self, window: int | None) -> TargetFeatures:
        """Return the same examples with only the last places of their prompts.

        window: how many of these to keep; None for all.
        """
        if window is None:
            return self
        first = (self.lengths - window).clamp(min=0)  # (N,)
        longest = self.embeds.shape[1]
        size = min(window + self.tokens.shape[1] - 1, longest)
        place = first[:, None] + torch.arange(size, device=first.device)
        place = place.clamp(max=longest - 1)  # shorter prompts get more padding at the end
        embeds, hidden = (
            t.gather(1, place[..., None].expand(-1, -1, t.shape[2]))
            for t in (self.embeds, self.hidden)
        )
        return replace(self, embeds=embeds, hidden=hidden, lengths=self.lengths - first)

    def embedded_by(self, target: Llama) -> bool:
        """Whether some examples' embeddings of action tokens are those of this target."""
        some = self.select(torch.arange(0, len(self), max(1, len(self) // _LOOKED_AT)))
        said = some.tokens[:, :-1]
        place = some.lengths[:, None] + torch.arange(said.shape[1])
        stored = some.embeds.gather(1, place[..., None].expand(-1, -1, some.embeds.shape[2]))
        own = target.model.embed_tokens.weight
        if said.numel() and int(said.max()) >= len(own):
            return False
        embedded = target.embed(said.to(own.device)).float().cpu()
        return torch.allclose(stored.float(), embedded, rtol=0.02, atol=1e-3)

    def to(self, device: torch.device) -> TargetFeatures:
        """Return the same examples on a device."""
        return TargetFeatures(**{n: getattr(self, n).to(device) for n in self.__slots__})


@torch.inference_mode()
def target_features(checkpoint: OpenVLACheckpoint, example: Example) -> dict[str, Tensor]:
    """Run the target on one prompt; return tensors as in `TargetFeatures`, without dimension N."""
    model, language_model = checkpoint.model, checkpoint.model.language_model
    tokens = torch.from_numpy(example.tokens() if callable(example.tokens) else example.tokens)
    encode = ObservationEncoder(checkpoint, num_tokens=len(tokens))
    prompt = encode(Observation(example.image, example.instruction))
    chosen = language_model.embed(tokens[None, :-1].to(model.device))
    embeds = torch.cat((prompt, chosen), dim=1)
    positions = torch.arange(embeds.shape[1], device=model.device)
    hidden = language_model(embeds, positions=positions)
    return {
        'embeds': embeds[0].half().cpu(),
        'hidden': hidden[0].half().cpu(),
        'lengths': torch.tensor(prompt.shape[1]),
        'tokens': tokens,
        'episodes': torch.tensor(example.episode),
    }


def write_features(
    checkpoint: OpenVLACheckpoint,
    examples: Iterable[Example],
    folder: Path,
    *,
    report: Callable[[str], None],
) -> None:
    """Write the features of all examples into numbered safetensors files.

    Existing files are kept, so that calling it again with the same examples resumes where it
    stopped. Tokens of examples in existing files are not computed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, shard in groupby(enumerate(examples), lambda numbered: numbered[0] // SHARD_SIZE):
        file = folder / f'features_{number:05d}.safetensors'
        if file.exists():
            continue
        rows = [target_features(checkpoint, example) for _, example in shard]
        columns = {
            name: torch.nn.utils.rnn.pad_sequence([r[name] for r in rows], batch_first=True)
            if name in ('embeds', 'hidden')
            else torch.stack([r[name] for r in rows])
            for name in TargetFeatures.__slots__
        }
        save_tensors(columns, file)
        report(f'{file.name}: {len(rows)} prompts')


def feature_files(folder: Path) -> list[Path]:
    """Return the files that `write_features` has written into a folder and folders inside it."""
    return sorted(folder.rglob(_FEATURES))


def read_features(*folders: Path, window: int | None = None) -> TargetFeatures:
    """Read the features that `write_features` has written into folders and folders inside them.

    Episodes are renumbered, since those of different folders may have the same number.

    Args:
        folders: the folders.
        window: see `TargetFeatures.end_of_prompt`. The rest, which is most of a file, is dropped
            as soon as the file is read.

    Raises:
        ValueError: a folder has no features, or has those of another folder given; a file is
            damaged; or the features belong to different targets.
    """
    shards = []
    first_episode = 0
    seen: set[Path] = set()
    for folder in folders:
        files = feature_files(folder)
        if not files:
            raise ValueError(f'{folder} has no {_FEATURES}; make them with drafter-data')
        places = {file.resolve() for file in files}
        if places & seen:
            raise ValueError(
                f'{folder} holds features of another folder that is given: what is held out for '
                'validation would be learnt from; give each once'
            )
        seen |= places
        found = [_read_shard(file, window) for file in files]
        for shard in found:
            shard['episodes'] += first_episode
        first_episode = max(int(shard['episodes'].max()) for shard in found) + 1
        shards += found
    kinds = {(shard['embeds'].shape[2], shard['tokens'].shape[1]) for shard in shards}
    if len(kinds) > 1:
        raise ValueError(
            'the features belong to different targets; hidden size and action length are '
            + ', '.join(str(kind) for kind in sorted(kinds))
        )
    longest = max(shard['embeds'].shape[1] for shard in shards)
    columns = {}
    for name in TargetFeatures.__slots__:
        parts = [shard[name] for shard in shards]
        if name in ('embeds', 'hidden'):
            pads = [(0, 0, 0, longest - p.shape[1]) for p in parts]
            parts = [torch.nn.functional.pad(p, pad) for p, pad in zip(parts, pads, strict=True)]
        columns[name] = torch.cat(parts)
    return TargetFeatures(**columns)


def _read_shard(file: Path, window: int | None) -> dict[str, Tensor]:
    try:
        shard = load_file(file)
    except SafetensorError as error:
        raise ValueError(
            f'{file} is damaged ({error}): remove it, and give drafter-data the same options '
            'again, which makes what is missing'
        ) from error
    missing = [name for name in TargetFeatures.__slots__ if name not in shard]
    if missing:
        raise ValueError(f'{file} holds no features, it lacks {", ".join(missing)}: remove it')
    features = TargetFeatures(**{name: shard[name] for name in TargetFeatures.__slots__})
    features = features.end_of_prompt(window)
    return {name: getattr(features, name) for name in TargetFeatures.__slots__}
