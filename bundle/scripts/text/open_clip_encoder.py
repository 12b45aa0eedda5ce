# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CLIP's text tower through open_clip, the encoder of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..files.digest import file_digest
from .encoders import refuse_long_sentences

__all__ = ["OpenClipEncoder"]

_WEIGHT_SUFFIXES = (".pt", ".bin", ".safetensors", ".pth")


class OpenClipEncoder:
    """A frozen CLIP text encoder.

    Args:
        model: open_clip's name of the architecture, ``hf-hub:owner/name`` or ``local-dir:folder``. OpenAI's weights
            need an architecture that ends in ``quickgelu``.
        weights: a local file, or one of open_clip's tags for the model, which is downloaded at the first encoding;
            not looked at with ``hf-hub:`` and ``local-dir:``, which bring their own.
        normalize: scale embeddings to unit length; the paper uses them as they are.
        embed_dim: length of an embedding, where a model's configuration would have to be downloaded to know it.
    """

    def __init__(
        self,
        model: str = "ViT-B-32-quickgelu",
        weights: str | None = "openai",
        normalize: bool = False,
        embed_dim: int | None = None,
    ) -> None:
        if weights and weights.endswith(_WEIGHT_SUFFIXES) and not Path(weights).expanduser().is_file():
            raise FileNotFoundError(f"no weights {weights} of the text encoder {model}")
        if ":" in model:
            weights = None
        elif weights is None:
            raise ValueError(f"the text encoder {model} needs weights: a file, or one of open_clip's tags")
        if embed_dim is not None:
            self.dim = embed_dim
        self.model = model
        self.weights = weights
        self.normalize = normalize
        self.name = f"open_clip {model}{' normalized' if normalize else ''}"

    @cached_property
    def dim(self) -> int:
        """Length of an embedding, from the architecture alone."""
        import open_clip  # seconds to import

        config = open_clip.get_model_config(self.model)
        if config is None:
            raise ValueError(f"open_clip has no model {self.model!r}; see open_clip.list_models()")
        return int(config["embed_dim"])

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the weight file, or open_clip's tag or the name on the hub."""
        if self.weights is None:
            folder = Path(self.model.removeprefix("local-dir:")).expanduser()
            files = sorted(path for path in folder.glob("*") if path.suffix in _WEIGHT_SUFFIXES)
            return " ".join(file_digest(path) for path in files) or self.model
        path = Path(self.weights).expanduser()
        return file_digest(path) if path.is_file() else self.weights

    @torch.no_grad()
    def encode(self, sentences: Sequence[str]) -> Tensor:
        """Embed sentences.

        Returns:
            (N, dim) float32.
        """
        refuse_long_sentences(self, sentences)
        embeddings = self._tower(self.tokenizer(list(sentences))).float()
        return F.normalize(embeddings, dim=1) if self.normalize else embeddings

    @property
    def context_length(self) -> int:
        """Tokens that a sentence can have, its start and end included."""
        return int(self.tokenizer.context_length)

    def count_tokens(self, sentence: str) -> int:
        """Tokens of a sentence, its start and end included."""
        if hasattr(self.tokenizer, "encode"):
            return len(self.tokenizer.encode(sentence)) + 2
        return len(self.tokenizer.tokenizer(sentence)["input_ids"])  # of a model that takes a tokenizer of Hugging Face

    @cached_property
    def tokenizer(self) -> Any:
        """Sentences -> (N, context_length) token ids; a longer sentence is cut."""
        import open_clip

        try:
            return open_clip.get_tokenizer(self.model)
        except OSError as error:
            raise self._not_loaded(error) from error

    def load_tower(self) -> tuple[Any, Any]:
        """Load anew: the tokenizer, and the text tower alone, token ids -> (N, dim)."""
        import open_clip

        weights = self.weights and str(Path(self.weights).expanduser())
        is_file = bool(weights) and Path(str(weights)).is_file()
        try:
            network = open_clip.create_model(
                self.model,
                weights if is_file else self.weights,
                precision="fp32",
                require_pretrained=True,
                force_custom_text=True,
            )
        except (OSError, RuntimeError) as error:
            if is_file:
                message = f"the weights {self.weights} don't fit the text encoder {self.model}: {error}"
                raise ValueError(message) from error
            raise self._not_loaded(error) from error
        return self.tokenizer, network.text.eval().requires_grad_(False)

    def _not_loaded(self, error: Exception) -> FileNotFoundError:
        wanted = self.model if self.weights is None else f"{self.model} with the weights {self.weights}"
        return FileNotFoundError(
            f"the text encoder {wanted} can't be loaded; without a network give a local file or local-dir:FOLDER: "
            f"{error}"
        )

    @cached_property
    def _tower(self) -> Any:
        return self.load_tower()[1]
