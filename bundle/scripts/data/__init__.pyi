# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""From public layouts to datalists, from datalists to episodes and fixed evaluation tasks."""

from .episodes.collate import collate_task
from .episodes.dataset import EpisodeDataset, EpisodeSampler
from .episodes.episode_list import EpisodeList, load_episode_list, make_episode_list
from .episodes.evaluation import EvaluationDataset, PropagationDataset, evaluation_dataset
from .episodes.few_shot_setting import training_items
from .episodes.protocols import PROTOCOLS
from .episodes.task_sampler import TaskSampler
from .inference_items import inference_items, require_items
from .items import expand_items, item_id, picture_item, slice_items, volume_item, with_flips
from .readers.chaos_ct import CHAOS_CT_VALUES, read_chaos_ct
from .readers.chaos_mr import CHAOS_MR_GREYS, CHAOS_MR_VALUES, read_chaos_mr
from .readers.chest_xray import read_chest_xray
from .readers.coco import COCO_CLASSES, coco_classes, read_coco
from .readers.datalist_file import read_datalist
from .readers.folders import require_dataset_dir
from .readers.fss1000 import fss1000_classes, fss1000_prompts, read_fss1000
from .readers.image_folder import read_image_folder
from .readers.image_text import IMAGE_TEXT_CLASSES, read_image_text
from .readers.isic2018 import ISIC_CLASSES, read_isic2018
from .readers.mni152 import read_mni152
from .readers.synthetic import SYNTHETIC_CLASSES, read_synthetic, synthetic_classes
from .readers.voc2012 import VOC_CLASSES, read_voc2012, voc2012_classes
from .readers.wbc import WBC_VALUES, read_wbc
from .reference_support import ReferenceSupport, read_reference_support
from .volume_reader import CANONICAL_AXES, load_volume

__all__ = [
    "CANONICAL_AXES",
    "CHAOS_CT_VALUES",
    "CHAOS_MR_GREYS",
    "CHAOS_MR_VALUES",
    "COCO_CLASSES",
    "IMAGE_TEXT_CLASSES",
    "ISIC_CLASSES",
    "PROTOCOLS",
    "SYNTHETIC_CLASSES",
    "VOC_CLASSES",
    "WBC_VALUES",
    "EpisodeDataset",
    "EpisodeList",
    "EpisodeSampler",
    "EvaluationDataset",
    "PropagationDataset",
    "ReferenceSupport",
    "TaskSampler",
    "coco_classes",
    "collate_task",
    "evaluation_dataset",
    "expand_items",
    "fss1000_classes",
    "fss1000_prompts",
    "inference_items",
    "item_id",
    "load_episode_list",
    "load_volume",
    "make_episode_list",
    "picture_item",
    "read_chaos_ct",
    "read_chaos_mr",
    "read_chest_xray",
    "read_coco",
    "read_datalist",
    "read_fss1000",
    "read_image_folder",
    "read_image_text",
    "read_isic2018",
    "read_mni152",
    "read_reference_support",
    "read_synthetic",
    "read_voc2012",
    "read_wbc",
    "require_dataset_dir",
    "require_items",
    "slice_items",
    "synthetic_classes",
    "training_items",
    "voc2012_classes",
    "volume_item",
    "with_flips",
]
