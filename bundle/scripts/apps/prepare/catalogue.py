# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Public data sets: where they are, what they hold complete, under which terms.

Hashes are those that the publishers or widely used libraries state. Where none is known the entry is None: such a
download is unverified, and `prepare` tells the hash that it has seen and how to pin it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...data import (
    read_chaos_ct,
    read_chaos_mr,
    read_chest_xray,
    read_coco,
    read_datalist,
    read_fss1000,
    read_image_folder,
    read_image_text,
    read_isic2018,
    read_mni152,
    read_synthetic,
    read_voc2012,
    read_wbc,
)
from ...data.items import Item
from .voc_augment import augment_voc2012

__all__ = ["CATALOGUE", "Archive", "DatasetEntry"]


class Archive(NamedTuple):
    """A file to fetch.

    Args:
        url: address.
        file_name: name in ``downloads``.
        size: bytes; None if unknown.
        sha256: None if the publisher states none.
        md5: where the publisher states only this.
        place: for a single file, its name in the folder of the set; None for an archive to unpack.
    """

    url: str
    file_name: str
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    place: str | None = None


class DatasetEntry(NamedTuple):
    """A data set.

    Args:
        name: in the command.
        title: for people.
        read: reader; takes the folder, and options.
        terms: licence in a sentence.
        citation: whom to cite.
        archives: what can be fetched without a login.
        counts: images, and images per class, of the complete set.
        counts_from: who says so.
        instructions: how to get it by hand.
        finish: what is left to do in the folder after unpacking.
    """

    name: str
    title: str
    read: Callable[..., list[Item]]
    terms: str
    citation: str
    archives: tuple[Archive, ...] = ()
    counts: Mapping[str, int] = {}
    counts_from: str = ""
    instructions: str = ""
    finish: Callable[[Path], object] | None = None

    @property
    def access(self) -> str:
        """How one gets it, in a word or two."""
        if self.archives:
            return "fetched"
        return "by hand" if self.instructions else "made or your own"


def _read_both_splits(read: Callable[..., list[Item]]) -> Callable[..., list[Item]]:
    def read_all(dataset_dir: str | Path, **options: Any) -> list[Item]:
        parts = [read(dataset_dir, split, **options) for split in ("train", "val")]
        return list({item["image"]: item for part in parts for item in part}.values())

    return read_all


def _read_datalist_in(dataset_dir: str | Path, **options: Any) -> list[Item]:
    return read_datalist(Path(dataset_dir) / options.pop("file", "dataset.json"), **options)


def _read_text_set(class_name: str) -> Callable[..., list[Item]]:
    def read(dataset_dir: str | Path, **options: Any) -> list[Item]:
        return read_image_text(dataset_dir, **{"class_name": class_name, **options})

    return read


_COCO = "http://images.cocodataset.org"
_ISIC = "https://isic-challenge-data.s3.amazonaws.com/2018"
_CHAOS = Archive(
    "https://zenodo.org/records/3431873/files/CHAOS_Train_Sets.zip",
    "CHAOS_Train_Sets.zip",
    size=890771694,
    sha256="535f7d3417a0e0f0d9133fb3d962423d2a9cf3f103e4f09a3d8a1daf87d5d2fc",
)
_CHAOS_TERMS = "CC BY-NC-SA 4.0."
_CHAOS_CITATION = "Kavur et al. 2021, CHAOS challenge, Medical Image Analysis."
_LVIT_TEXT = "The sentences are linked from github.com/HUANGLIZI/LViT."

_ENTRIES = (
    DatasetEntry(
        "voc2012",
        "PASCAL VOC 2012 with SBD's masks, natural images, 20 classes",
        _read_both_splits(read_voc2012),
        terms="Images are from flickr; use must respect flickr's terms of use.",
        citation="Everingham et al. 2012; for SegmentationClassAug also Hariharan et al. 2011 (SBD).",
        archives=(
            Archive(
                "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
                "VOCtrainval_11-May-2012.tar",
                md5="6cd6e144f989b92b3379bac3b3de84fd",
            ),
            Archive(
                "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz",
                "benchmark.tgz",
                md5="82b4d87ceb2ed10f6038a1cba92111cb",
            ),
        ),
        counts={"images": 2913},
        counts_from="lines of ImageSets/Segmentation/train.txt and val.txt: 1464 + 1449",
        finish=augment_voc2012,
    ),
    DatasetEntry(
        "coco",
        "COCO 2014, natural images, 80 classes (13 + 6 GB)",
        _read_both_splits(read_coco),
        terms="Annotations: CC BY 4.0; images: flickr's terms of use.",
        citation="Lin et al. 2014; for the folds Nguyen and Todorovic 2019.",
        archives=(
            Archive(
                f"{_COCO}/annotations/annotations_trainval2014.zip",
                "annotations_trainval2014.zip",
                md5="0a379cfc70b0e71301e0f377548639bd",
            ),
            Archive(f"{_COCO}/zips/val2014.zip", "val2014.zip", md5="a3d79f5ed8d289b7a7554ce06a5782b3"),
            Archive(f"{_COCO}/zips/train2014.zip", "train2014.zip", md5="0da8cfa0e090c266b78f30e2d2874f1a"),
        ),
    ),
    DatasetEntry(
        "fss1000",
        "FSS-1000, natural images, 1000 classes",
        read_fss1000,
        terms="See the authors' page; for research.",
        citation="Li et al. 2020, FSS-1000, CVPR.",
        counts={"images": 10000},
        counts_from="Li et al. 2020: ten images in each of 1000 classes",
        instructions="The authors share it on a drive that is linked from github.com/HKUSTCV/FSS-1000.",
    ),
    DatasetEntry(
        "isic2018",
        "ISIC 2018 task 1, dermoscopy (10 GB)",
        read_isic2018,
        terms="ISIC 2018 challenge; treat as CC BY-NC 4.0.",
        citation="Codella et al. 2018; Tschandl et al. 2018.",
        archives=(
            Archive(f"{_ISIC}/ISIC2018_Task1_Training_GroundTruth.zip", "ISIC2018_Task1_Training_GroundTruth.zip"),
            Archive(
                "https://raw.githubusercontent.com/slei109/PATNet/master/data/isic/class_id.csv",
                "class_id.csv",
                place="class_id.csv",
            ),
            Archive(f"{_ISIC}/ISIC2018_Task1-2_Training_Input.zip", "ISIC2018_Task1-2_Training_Input.zip"),
        ),
        counts={"images": 2594, "nevus": 1867, "melanoma": 519, "seborrheic_keratosis": 208},
        counts_from="rows of PATNet's class_id.csv",
    ),
    DatasetEntry(
        "chest_xray",
        "Montgomery and Shenzhen chest X-rays with lung masks",
        read_chest_xray,
        terms="National Library of Medicine, cite; the Shenzhen masks (Stirenko et al. 2018) are CC BY-NC-SA 4.0.",
        citation="Jaeger et al. 2014; Candemir et al. 2014; Stirenko et al. 2018.",
        counts={"images": 704},
        counts_from="pairs in a public copy, github.com/rochadiego/MultiResUNet-lung-segmentation",
        instructions=(
            "With a Kaggle login: kaggle.com/datasets/nikhilpandey360/chest-xray-masks-and-labels. "
            "Without: MontgomerySet "
            "from the National Library of Medicine's page on tuberculosis X-rays (138 images, --allow_subset True)."
        ),
    ),
    DatasetEntry(
        "wbc",
        "White blood cells, dataset 1 and 2",
        read_wbc,
        terms="For research; the repository carries the GPL-3.0.",
        citation="Zheng et al. 2018, Micron 107; thank Jiangxi Tecom (dataset 1) and CellaVision (dataset 2).",
        archives=(
            Archive(
                "https://github.com/zxaoyou/segmentation_WBC/archive/refs/heads/master.zip", "segmentation_WBC.zip"
            ),
        ),
        counts={"images": 400},
        counts_from="the repository's README: 300 + 100",
    ),
    DatasetEntry(
        "chaos_mr",
        "CHAOS, abdominal MR, four organs",
        read_chaos_mr,
        terms=_CHAOS_TERMS,
        citation=_CHAOS_CITATION,
        archives=(_CHAOS,),
        counts={"images": 20},
        counts_from="Kavur et al. 2021: 20 training cases of each modality",
    ),
    DatasetEntry(
        "chaos_ct",
        "CHAOS, abdominal CT, liver",
        read_chaos_ct,
        terms=_CHAOS_TERMS,
        citation=_CHAOS_CITATION,
        archives=(_CHAOS,),
        counts={"images": 20},
        counts_from="Kavur et al. 2021: 20 training cases of each modality",
    ),
    DatasetEntry(
        "kvasir",
        "Kvasir-SEG, polyps in colonoscopy",
        _read_text_set("polyp"),
        terms="For research and education only.",
        citation="Jha et al. 2020, Kvasir-SEG, MMM.",
        archives=(
            Archive(
                "https://datasets.simula.no/downloads/kvasir-seg.zip",
                "kvasir-seg.zip",
                sha256="03b30e21d584e04facf49397a2576738fd626815771afbbf788f74a7153478f7",
            ),
        ),
        counts={"images": 1000},
        counts_from="Jha et al. 2020",
    ),
    DatasetEntry(
        "busi",
        "BUSI, breast ultrasound",
        _read_text_set("breast lesion"),
        terms="See the article; for research.",
        citation="Al-Dhabyani et al. 2020, Data in Brief.",
        archives=(Archive("https://scholar.cu.edu.eg/Dataset_BUSI.zip", "Dataset_BUSI.zip"),),
        counts={"images": 780},
        counts_from="Al-Dhabyani et al. 2020",
    ),
    DatasetEntry(
        "monuseg",
        "MoNuSeg, nuclei in histology, with LViT's sentences",
        _read_text_set("nuclei"),
        terms="CC BY-NC-SA 4.0.",
        citation="Kumar et al. 2017, 2020; Li et al. 2023 (LViT).",
        counts={"images": 44},
        counts_from="rows of LViT's tables: 24 + 6 + 14",
        instructions=f"With a grand-challenge.org login: monuseg.grand-challenge.org/Data. {_LVIT_TEXT}",
    ),
    DatasetEntry(
        "qata",
        "QaTa-COV19, chest X-rays, with LViT's sentences",
        _read_text_set("lung infection"),
        terms="See the page of the set; for research.",
        citation="Degerli et al. 2022; Li et al. 2023 (LViT).",
        instructions=f"With a Kaggle login: kaggle.com/datasets/aysendegerli/qatacov19-dataset. {_LVIT_TEXT}",
    ),
    DatasetEntry(
        "mosmed",
        "MosMedData+, slices of chest CT, with LViT's sentences",
        _read_text_set("lung infection"),
        terms="See the page of the set; for research.",
        citation="Morozov et al. 2020; Li et al. 2023 (LViT).",
        instructions=f"The images are linked from the same page. {_LVIT_TEXT}",
    ),
    DatasetEntry("mni152", "MNI152 brain, from nilearn", read_mni152, "See nilearn.", "Fonov et al. 2011."),
    DatasetEntry("synthetic", "Drawn shapes, made by the bundle", read_synthetic, "Apache-2.0.", "nobody."),
    DatasetEntry("image_folder", "your images and masks", read_image_folder, "yours.", "nobody."),
    DatasetEntry("datalist", "your dataset.json", _read_datalist_in, "yours.", "nobody."),
)
CATALOGUE: dict[str, DatasetEntry] = {entry.name: entry for entry in _ENTRIES}
