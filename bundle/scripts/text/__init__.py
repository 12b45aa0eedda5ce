# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Descriptions of classes and their embeddings."""

from .controls import RandomVectors, constant_text, name_only, shuffle_classes
from .embedding_table import EmbeddingTable, embedding_table
from .encoders import PrecomputedEncoder, save_embeddings, sentence_key
from .lora import AdaptedTextEncoder, TokenIds, adapted_text_encoder, table_encoder
from .open_clip_encoder import OpenClipEncoder
from .prompts import Prompts, read_prompts
from .transformers_encoder import MiniLMEncoder, TransformersEncoder

__all__ = [
    "AdaptedTextEncoder",
    "EmbeddingTable",
    "MiniLMEncoder",
    "OpenClipEncoder",
    "PrecomputedEncoder",
    "Prompts",
    "RandomVectors",
    "TokenIds",
    "TransformersEncoder",
    "adapted_text_encoder",
    "constant_text",
    "embedding_table",
    "name_only",
    "read_prompts",
    "save_embeddings",
    "sentence_key",
    "shuffle_classes",
    "table_encoder",
]
