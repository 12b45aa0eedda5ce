# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""From public layouts to datalists, from datalists to episodes and fixed evaluation tasks."""

from .chaos_mr import CHAOS_MR_VALUES, read_chaos_mr
from .episode_list import EpisodeList, load_episode_list, make_episode_list
from .episodes import EpisodeDataset, EpisodeSampler
from .evaluation import EvaluationDataset, PropagationDataset, evaluation_dataset
from .items import expand_items, item_id, picture_item, slice_items, volume_item, with_flips
from .mni152 import read_mni152
from .protocols import PROTOCOLS
from .synthetic import SYNTHETIC_CLASSES, read_synthetic, synthetic_classes
from .voc2012 import VOC_CLASSES, read_voc2012, voc2012_classes
from .volume_reader import CANONICAL_AXES, load_volume

__all__ = [
    "CANONICAL_AXES",
    "CHAOS_MR_VALUES",
    "PROTOCOLS",
    "SYNTHETIC_CLASSES",
    "VOC_CLASSES",
    "EpisodeDataset",
    "EpisodeList",
    "EpisodeSampler",
    "EvaluationDataset",
    "PropagationDataset",
    "evaluation_dataset",
    "expand_items",
    "item_id",
    "load_episode_list",
    "load_volume",
    "make_episode_list",
    "picture_item",
    "read_chaos_mr",
    "read_mni152",
    "read_synthetic",
    "read_voc2012",
    "slice_items",
    "synthetic_classes",
    "voc2012_classes",
    "volume_item",
    "with_flips",
]
