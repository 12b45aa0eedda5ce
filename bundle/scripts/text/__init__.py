# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Descriptions of classes and their embeddings."""

from .embedding_table import EmbeddingTable, embedding_table
from .encoders import MiniLMEncoder, PrecomputedEncoder, save_embeddings, sentence_key
from .open_clip_encoder import OpenClipEncoder
from .prompts import Prompts, read_prompts

__all__ = [
    "EmbeddingTable",
    "MiniLMEncoder",
    "OpenClipEncoder",
    "PrecomputedEncoder",
    "Prompts",
    "embedding_table",
    "read_prompts",
    "save_embeddings",
    "sentence_key",
]
