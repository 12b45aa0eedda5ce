# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The one interface of every network here: a prompt is encoded once, then any number of images is segmented with it.

    prompt = segmenter.encode_prompt(support_image, support_label, text_embedding)
    logits = segmenter.segment(image, prompt)

Wherever an image is taken its features are taken too, so that the backbone runs once per image, whatever the number of
classes, hosts or corrections.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .adaptation import Adaptation, with_parameters
from .blocks.logits import resize_logits
from .hosts.base import Host
from .prompt import IMAGE, Features, Prompt, SupportSet, batch_size_of, check_support, map_tensors
from .protocols import Backbone, Refinement
from .stored_prompt import StoredPrompt

__all__ = ["IMAGE", "Prompt", "Segmenter", "described_network", "map_tensors"]

_SIGNATURE_BYTES = 256


class Segmenter(nn.Module):
    """Backbone, few-shot host and, where wanted, a refinement of the host's logits.

    Args:
        backbone: image -> {level: map}; it is cut down to the levels that the host wants.
        host: the few-shot network; it sees features and masks, never images.
        refinement: called as ``refinement(logits, image, prompt)`` after the host, with
            ``prompt = refinement.encode(support_image, support_label)`` and the logits at ``refinement.logit_size``
            (None or no such attribute: at the host's grid); None leaves the host's logits as they are.
        adaptation: tunes the host to the support set in ``encode_prompt``, in evaluation mode; the prompt holds the
            tuned values, the host's own stay as they are. None for none.
    """

    def __init__(
        self,
        backbone: Backbone,
        host: Host,
        refinement: Refinement | None = None,
        adaptation: Adaptation | None = None,
    ) -> None:
        super().__init__()
        self.backbone: Backbone = backbone.select(host.levels)
        self.host = host
        self.refinement = refinement
        self.adaptation = adaptation
        self.stored = StoredPrompt(tuple(self.host.levels))
        self.align_corners: bool = host.align_corners
        self.signature: Tensor
        self.register_buffer("signature", _encode_text(self.description()), persistent=True)

    def description(self) -> str:
        """Name host, backbone and levels: what a checkpoint must agree with."""
        host = type(self.host).__name__ + ("" if getattr(self.host, "guidance", None) is None else " with text")
        return f"host {host}, backbone {self.backbone.name}, levels {' '.join(self.host.levels)}"

    def features(self, image: Tensor) -> Features:
        """Run the backbone.

        Args:
            image: (B, 3, H, W) RGB in [0, 1].

        Returns:
            {level: (B, C, h, w)}, and the image itself under ``IMAGE`` where refinement or adaptation will need it.
        """
        features: Features = self.backbone(image)
        if not torch.jit.is_scripting():  # noqa: SIM102 - TorchScript drops the block only if it stands alone
            if self.keeps_images():
                features[IMAGE] = image
        return features

    @torch.jit.unused
    def keeps_images(self) -> bool:
        """Whether features carry their image."""
        return self.refinement is not None or (self.adaptation is not None and self.adaptation.needs_images)

    def encode_prompt(
        self,
        support_image: Tensor | Features,
        support_label: Tensor,
        text_embedding: Tensor | None = None,
    ) -> Prompt:
        """Do all work that depends on the support set and the text alone.

        Args:
            support_image: (B, K, 3, H, W) RGB in [0, 1], or its features {level: (B, K, C, h, w)}.
            support_label: (B, K, 1, H, W) in {0, 1, 255}; 255 is ignored.
            text_embedding: (B, T, D), T sentences or tokens per class; None without text.

        Returns:
            The prompt, for ``segment``.

        Raises:
            ValueError: when shapes don't fit each other, or no support mask has foreground; with an adaptation, for
                several episodes.
        """
        support = SupportSet(self._support_features(support_image), support_label, text_embedding)
        return self._encode(support, adapts=not self.training)

    def _encode(self, support: SupportSet, *, adapts: bool) -> Prompt:
        support_features, support_label, text_embedding = support
        check_support(support_features, support_label, text_embedding)
        adapted = self.adaptation(self, support) if adapts and self.adaptation is not None else None
        levels = self._levels(support_features)
        host = with_parameters(
            self.host, adapted or {}, lambda host: host.encode(levels, support_label, text_embedding)
        )
        if self.refinement is None:
            return Prompt(host, adapted=adapted)
        if IMAGE not in support_features:
            raise ValueError(
                f"the refinement needs the support images: put them beside their features, under {IMAGE!r}"
            )
        return Prompt(host, self.refinement.encode(support_features[IMAGE], support_label), adapted)

    def segment(
        self,
        image: Tensor | Features,
        prompt: Prompt,
        output_size: tuple[int, int] | None = None,
    ) -> Tensor:
        """Segment a batch of queries.

        Args:
            image: (B, 3, H, W) RGB in [0, 1], or its features {level: (B, C, h, w)}.
            prompt: from ``encode_prompt``, of the same batch size or of one episode for all.
            output_size: height and width of the logits, which are resized by the host's rule; None means those of the
                image or, where only features are given, of the host's grid.

        Returns:
            (B, 2, H, W) logits, background first.

        Raises:
            ValueError: for a prompt of another number of episodes, a refinement without images, or a refined prompt in
                a segmenter without refinement.
        """
        features = self.features(image) if isinstance(image, Tensor) else image
        batch_size = next(iter(features.values())).shape[0]
        episodes = batch_size_of(prompt)
        if episodes not in (1, batch_size):
            raise ValueError(
                f"a prompt of {episodes} episodes can't serve {batch_size} queries: it needs one episode per query, or "
                "one for all"
            )
        if episodes != batch_size:
            prompt = prompt.expand(batch_size)
        levels = self._levels(features)
        logits = with_parameters(self.host, prompt.adapted or {}, lambda host: host.decode(levels, prompt.host))
        align_corners = self.align_corners
        if prompt.refinement is not None:
            if self.refinement is None:
                raise ValueError("the prompt was encoded with a refinement, which this segmenter lacks: encode it anew")
            if IMAGE not in features:
                raise ValueError(f"the refinement needs the images beside their features, under {IMAGE!r}")
            logits = resize_logits(logits, getattr(self.refinement, "logit_size", None), align_corners)
            logits, align_corners = self.refinement(logits, features[IMAGE], prompt.refinement), False
        if output_size is None and isinstance(image, Tensor):
            output_size = (image.shape[2], image.shape[3])
        return resize_logits(logits, output_size, align_corners)

    def forward(
        self,
        image: Tensor | Features,
        support_image: Tensor | Features | None = None,
        support_label: Tensor | None = None,
        text_embedding: Tensor | None = None,
        query_label: Tensor | None = None,
    ) -> Tensor:
        """Encode the prompt and segment, in one call without adaptation: for training, export and MONAI's inferers.

        Args:
            image: (B, 3, H, W) RGB in [0, 1], or features.
            support_image: (B, K, 3, H, W), or features; None takes the stored prompt.
            support_label: (B, K, 1, H, W) in {0, 1, 255}.
            text_embedding: (B, T, D).
            query_label: (B, 1, H, W) in {0, 1, 255}; given, the result is the list of the host's training terms.

        Returns:
            (B, 2, H, W) logits. Without a support set, and none stored, they say background everywhere.
        """
        features = self._query_features(image)
        if support_image is None or support_label is None:
            if self.stored.is_empty():
                return self._background(features, image)
            support_features = self.stored()
            support_label = self.stored.label[None]
        else:
            support_features = self._support_features(support_image)
        size = _size_of(image, support_label)

        if not torch.jit.is_scripting():
            if query_label is not None:
                terms: Any = self._training_terms(
                    features, support_features, support_label, text_embedding, query_label
                )
                return terms  # type: ignore[no-any-return]
            prompt = self._encode(SupportSet(support_features, support_label, text_embedding), adapts=False)
            return self.segment(features, prompt, size)

        batch_size = features[self.host.levels[0]].shape[0]
        if support_label.shape[0] != batch_size:
            support_label = support_label.expand(batch_size, -1, -1, -1, -1)
            for level, value in support_features.items():
                support_features[level] = value.expand(batch_size, -1, -1, -1, -1)
        context = self.host.encode(support_features, support_label, text_embedding)
        return resize_logits(self.host.decode(features, context), size, self.align_corners)

    @torch.jit.unused
    def store_prompt(self, support_image: Tensor, support_label: Tensor) -> None:
        """Keep a support set in the state, so that ``forward`` segments its class in an image given alone.

        Args:
            support_image: (K, 3, H, W) RGB in [0, 1].
            support_label: (K, 1, H, W) in {0, 1, 255}.
        """
        features = self._levels(self.features(support_image))
        check_support({level: value[None] for level, value in features.items()}, support_label[None], None)
        self.stored.store(features, support_label)

    @torch.jit.unused
    def _training_terms(
        self,
        features: Features,
        support_features: Features,
        support_label: Tensor,
        text_embedding: Tensor | None,
        query_label: Tensor,
    ) -> Any:
        features, support_features = self._levels(features), self._levels(support_features)
        check_support(support_features, support_label, text_embedding)
        context = self.host.encode(support_features, support_label, text_embedding)
        return self.host.training_terms(features, support_features, support_label, query_label, context)

    def _support_features(self, support_image: Tensor | Features) -> Features:
        if not isinstance(support_image, Tensor):
            return support_image
        features: Features = {}
        for level, value in self.features(support_image.flatten(0, 1)).items():
            features[level] = value.unflatten(0, [support_image.shape[0], support_image.shape[1]])
        return features

    def _query_features(self, image: Tensor | Features) -> Features:
        # A program that refines the type of a variable which is used again can be exported, but not loaded.
        if isinstance(image, Tensor):
            return self.features(image)
        return image

    def _background(self, features: Features, image: Tensor | Features) -> Tensor:
        largest = features[self.host.levels[0]]
        for value in features.values():
            if value.shape[2] > largest.shape[2]:
                largest = value
        height, width = _size_of(image, largest)
        logits = torch.zeros(largest.shape[0], 2, height, width, device=self.signature.device)
        logits[:, 0] = 1.0
        return logits

    @torch.jit.unused
    def _levels(self, features: Features) -> Features:
        missing = [level for level in self.host.levels if level not in features]
        if missing:
            raise ValueError(f"features of levels {missing} are missing (given: {list(features)})")
        return {level: features[level] for level in self.host.levels}

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *arguments: Any) -> None:
        found = described_network(state_dict, prefix)
        if found is not None and found != self.description():
            raise ValueError(f"the checkpoint is of {found}; the network is {self.description()}")
        if found is not None:  # files keep it without padding
            state_dict[f"{prefix}signature"] = self.signature
        super()._load_from_state_dict(state_dict, prefix, *arguments)


def described_network(state: Mapping[str, Any], prefix: str = "") -> str | None:
    """Read which network a state is of, as ``Segmenter.description``; None when the state doesn't say."""
    signature = state.get(prefix + "signature")
    if signature is None:
        return None
    return bytes(signature.tolist()).rstrip(b"\0").decode(errors="replace")


def _size_of(image: Tensor | Features, otherwise: Tensor) -> tuple[int, int]:
    """Height and width of an image; where features are given, of the other tensor."""
    if isinstance(image, Tensor):
        return image.shape[-2], image.shape[-1]
    return otherwise.shape[-2], otherwise.shape[-1]


def _encode_text(text: str) -> Tensor:
    data = text.encode()
    if len(data) > _SIGNATURE_BYTES:
        raise ValueError(f"description of the network is longer than {_SIGNATURE_BYTES} bytes: {text}")
    return torch.tensor(list(data.ljust(_SIGNATURE_BYTES, b"\0")), dtype=torch.uint8)
