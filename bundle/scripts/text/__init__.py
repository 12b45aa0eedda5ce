# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Descriptions of classes and their embeddings."""

from .embedding_table import EmbeddingTable, embedding_table
from .encoders import MiniLMEncoder, PrecomputedEncoder, save_embeddings, sentence_key
from .lora import AdaptedTextEncoder, TokenIds, adapted_text_encoder, table_encoder
from .open_clip_encoder import OpenClipEncoder
from .prompts import Prompts, read_prompts

__all__ = [
    "AdaptedTextEncoder",
    "EmbeddingTable",
    "MiniLMEncoder",
    "OpenClipEncoder",
    "PrecomputedEncoder",
    "Prompts",
    "TokenIds",
    "adapted_text_encoder",
    "embedding_table",
    "read_prompts",
    "save_embeddings",
    "sentence_key",
    "table_encoder",
]
