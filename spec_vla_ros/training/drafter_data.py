# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""What a drafter learns from: the frozen target's features on prompts it answered itself.

The prompts hold the image and the instruction and nothing else: an action in the prompt would
teach the drafter something that it never sees.
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
from spec_vla_ros.models.llama import Llama
from spec_vla_ros.models.observation_encoder import ObservationEncoder
from spec_vla_ros.models.safetensors_files import save_tensors
from spec_vla_ros.types import Observation

SHARD_SIZE = 512
_LOOKED_AT = 64  # examples
_FEATURES = 'features_*.safetensors'

Tokens = np.ndarray | Callable[[], np.ndarray]
"""(D,) int64, the target's own choices; or what returns them, called where they are needed."""


@dataclass(frozen=True, slots=True)
class Example:
    """One prompt, and what the target answered.

    image: (H, W, 3) uint8 RGB. episode: its number.
    """

    image: np.ndarray
    instruction: str
    episode: int
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class TargetFeatures:
    """What the target computed for N prompts and the D tokens it chose after each.

    embeds: (N, S, H), input embeddings of prompt and action tokens, padded at the end.
    hidden: (N, S, H), hidden states after the final norm.
    lengths: (N,) int64, tokens of the prompt; D - 1 action tokens follow it.
    tokens: (N, D) int64. episodes: (N,) int64.
    """

    embeds: Tensor
    hidden: Tensor
    lengths: Tensor
    tokens: Tensor
    episodes: Tensor

    def __len__(self) -> int:
        return len(self.lengths)

    def select(self, index: Tensor) -> TargetFeatures:
        """Return the examples that an index (M,) names."""
        return TargetFeatures(**{name: getattr(self, name)[index] for name in self.__slots__})

    def end_of_prompt(self, window: int | None) -> TargetFeatures:
        """Return the same examples without what stands before the prompts' last places.

        window: how many of them to keep; None for all.
        """
        if window is None:
            return self
        first = (self.lengths - window).clamp(min=0)  # (N,)
        longest = self.embeds.shape[1]
        size = min(window + self.tokens.shape[1] - 1, longest)
        place = first[:, None] + torch.arange(size, device=first.device)
        place = place.clamp(max=longest - 1)  # padding, behind the end of shorter examples
        embeds, hidden = (
            t.gather(1, place[..., None].expand(-1, -1, t.shape[2]))
            for t in (self.embeds, self.hidden)
        )
        return replace(self, embeds=embeds, hidden=hidden, lengths=self.lengths - first)

    def embedded_by(self, target: Llama) -> bool:
        """Whether action tokens are stored as this target embeds them, in some of the examples."""
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
    """Run the target on one prompt; tensors named as in `TargetFeatures`, without the N."""
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
    """Write the features of all examples as numbered safetensors files.

    Files that are there already are kept: the same examples given again resume where it stopped.
    The tokens of theirs are not asked for.
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
    """Return the files that `write_features` wrote into a folder and those inside it."""
    return sorted(folder.rglob(_FEATURES))


def read_features(*folders: Path, window: int | None = None) -> TargetFeatures:
    """Read the features that `write_features` wrote into these folders and those inside them.

    Episodes of different folders are different ones, even where they have the same number.

    Args:
        folders: where they are.
        window: see `TargetFeatures.end_of_prompt`. What stands before it is most of a file, and
            is let go of as soon as that is read.

    Raises:
        ValueError: a folder has none, or those of another, one is damaged, or they belong to
            different targets.
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
