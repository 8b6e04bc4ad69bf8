# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
"""The model that the language stage trains: projector and language model on packed sequences."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spec_vla_ros.action_codec import ActionCodec
from spec_vla_ros.models.llama import Llama
from spec_vla_ros.models.openvla import OpenVLA, OpenVLAConfig
from spec_vla_ros.models.prompts import PromptProcessor
from spec_vla_ros.training.bin_targets import ordinal_embeddings, smoothed_targets
from spec_vla_ros.training.packing import Packing, pack

_SIGMA_BINS = 1.0  # see `smoothed_targets`


class PackedPolicy(nn.Module):
    """The projector and the language model on packed sequences of one image and K instructions.

    Args:
        model: the policy's model, whose parts are used.
        prompts: tokenizes instructions to prompts.
        codec: converts actions to tokens.
        instructions: all instructions; their prompts must have the same number of tokens.
        goal_head: predicts goals (see `CachedFrames`) from hidden states; used in training only.
    """

    text: Tensor

    def __init__(
        self,
        model: OpenVLA,
        prompts: PromptProcessor,
        codec: ActionCodec,
        *,
        instructions: Sequence[str],
        goal_head: nn.Linear,
    ) -> None:
        super().__init__()
        self.projector, self.language_model = model.projector, model.language_model
        self.actions = slice(codec.action_ids.start, codec.action_ids.stop)
        ids = torch.cat([prompts(instruction) for instruction in instructions])
        self.bos = int(ids[0, 0])
        self.register_buffer('text', ids[:, 1:])
        self.length = codec.stats.dimensions
        self.goal_head = goal_head

    def layout(self, *, patches: int, segments: int) -> Packing:
        """Return the layout of a packed sequence with so many patches and instructions."""
        return pack(
            prefix=1 + patches, text=self.text.shape[1], action=self.length, segments=segments
        )

    def forward(
        self, features: Tensor, instructions: Tensor, tokens: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return action logits (B, K, A, V) and goals (B, K, G).

        Args:
            features: (B, P, D), see `CachedFrames`.
            instructions: (B, K).
            tokens: (B, K, A), the action tokens that the model reads; the last of each action is
                not read.
        """
        batch, segments = instructions.shape
        bos = self.language_model.embed(torch.full((batch, 1), self.bos, device=features.device))
        read = torch.cat((self.text[instructions], tokens[..., :-1]), -1).flatten(1)
        embeds = torch.cat((bos, self.projector(features), self.language_model.embed(read)), 1)
        packing = self.layout(patches=features.shape[1], segments=segments)
        packing = packing.to(features.device)
        hidden = self.language_model(embeds, positions=packing.positions, mask=packing.mask)
        predicting = hidden[:, packing.predicting.flatten()].unflatten(1, (segments, self.length))
        return self.language_model.logits(predicting), self.goal_head(predicting[:, :, 0])

    def loss(self, logits: Tensor, tokens: Tensor) -> Tensor:
        """Return the cross-entropy over the vocabulary, with targets spread over nearby bins."""
        bins = self.actions.stop - 1 - tokens
        target = smoothed_targets(bins, sigma=_SIGMA_BINS).flip(-1)  # a higher id is a lower bin
        scores = F.log_softmax(logits.float(), -1)[..., self.actions]
        return -(target * scores).sum(-1).mean()


@torch.no_grad()
def initialise(language_model: Llama, actions: slice, *, seed: int) -> None:
    """Draw the initial weights in place; those of action tokens begin with the order of the bins.

    actions: ids of the action tokens.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in language_model.named_parameters():
        if parameter.dim() == 2:
            residual = 0.5 if name.endswith(('o_proj.weight', 'down_proj.weight')) else 1.0
            deviation = residual / parameter.shape[1] ** 0.5
            parameter.normal_(0.0, deviation, generator=generator)
    embedding, head = language_model.model.embed_tokens.weight, language_model.lm_head.weight
    rows = ordinal_embeddings(embedding.shape[1], generator=generator, scale=0.5).flip(0)
    embedding.normal_(0.0, 0.5, generator=generator)
    embedding[actions] = rows
    head.normal_(0.0, 0.02, generator=generator)
    head[actions] = 0.1 * rows


@torch.no_grad()
def deepen(shallow: OpenVLA, config: OpenVLAConfig) -> OpenVLA:
    """Return a deeper model that computes nearly the same; it shares the towers and the projector.

    Each layer becomes several copies in a row, which add its output in equal parts. They learn to
    differ. It would take eight times as long for each iteration to train the deep model from the
    beginning.

    Raises:
        ValueError: the depth in `config` is no multiple of the shallow model's.
    """
    layers = shallow.language_model.model.layers
    copies, rest = divmod(config.text.num_hidden_layers, len(layers))
    if rest or not copies:
        raise ValueError(
            f'{len(layers)} layers cannot become {config.text.num_hidden_layers}: the depth must '
            'be a multiple'
        )
    deep = OpenVLA(config)
    deep.vision_backbone, deep.projector = shallow.vision_backbone, shallow.projector
    old, new = shallow.language_model, deep.language_model
    for name in ('model.embed_tokens', 'model.norm', 'lm_head'):
        new.get_submodule(name).load_state_dict(old.get_submodule(name).state_dict())
    for index, layer in enumerate(new.model.layers):
        layer.load_state_dict(layers[index // copies].state_dict())
        # A layer's output is a product of two of these. Each gets the same factor, so that both
        # learn at the same rate.
        attention, mlp = layer.self_attn, layer.mlp
        for part in (attention.v_proj, attention.o_proj, mlp.up_proj, mlp.down_proj):
            part.weight.div_(copies**0.5)
    return deep
