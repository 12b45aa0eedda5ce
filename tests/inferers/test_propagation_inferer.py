# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The MONAI inferer around the volume session: axes, spacing, affine, errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.inferers import Inferer

from scripts.inferers.propagation_inferer import PropagationInferer
from scripts.inferers.volume.session import VolumeSession

MIDDLE = 4


def as_tensor(array):
    """(Z, H, W) to (1, 1, X, Y, Z)."""
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 1, 0))).float()[None, None]


@pytest.fixture
def case(make_volume):
    image, label = make_volume()
    annotation = np.zeros_like(label)
    annotation[MIDDLE] = label[MIDDLE]
    return image, label, annotation


def test_equals_the_session(case, make_segmenter):
    image, label, annotation = case
    session = VolumeSession(image, spacing=(7.7, 1.25, 1.25), segmenter=make_segmenter())
    session.annotate(MIDDLE, label[MIDDLE])
    expected = session.segment(probability=True)
    inferer = PropagationInferer(probability=True)
    assert isinstance(inferer, Inferer)
    result = inferer(as_tensor(image), make_segmenter(), annotation=as_tensor(annotation), spacing=(1.25, 1.25, 7.7))
    assert result.label.shape == (1, 1, 64, 64, 9)
    assert np.array_equal(result.label[0, 0].numpy().transpose(2, 1, 0), expected.label)
    assert np.array_equal(result.probability[0, 0].numpy().transpose(2, 1, 0), expected.probability)
    assert result.slices == expected.slices
    assert result.slice_axis == 2


def test_spacing_and_affine_come_from_the_meta_tensor(case, make_segmenter, dice_of):
    image, label, annotation = case
    turned = np.moveaxis(image, 0, 1), np.moveaxis(label, 0, 1), np.moveaxis(annotation, 0, 1)
    affine = torch.diag(torch.tensor([1.25, 7.7, 1.25, 1.0], dtype=torch.float64))
    inputs = MetaTensor(as_tensor(turned[0])[0], affine=affine)
    result = PropagationInferer()(inputs, make_segmenter(), annotation=as_tensor(turned[2])[0])
    assert result.slice_axis == 1
    assert isinstance(result.label, MetaTensor)
    assert result.label.shape == inputs.shape
    assert torch.equal(result.label.affine, affine)
    assert dice_of(result.label[0].numpy().transpose(2, 1, 0) == 1, turned[1] == 1) > 0.85
    assert {report.slice for report in result.slices} <= set(range(9))


def test_unlabelled_slices_and_255_are_not_annotated(case, make_segmenter):
    image, label, annotation = case
    unknown = np.full(label.shape, 255, np.uint8)
    unknown[MIDDLE] = label[MIDDLE]
    options = {"spacing": (1.25, 1.25, 7.7)}
    first = PropagationInferer()(as_tensor(image), make_segmenter(), annotation=as_tensor(annotation), **options)
    other = PropagationInferer()(as_tensor(image), make_segmenter(), annotation=as_tensor(unknown), **options)
    assert torch.equal(first.label, other.label)
    assert first.label[..., 1].any()


def test_errors(case, make_segmenter):
    image, _, annotation = case
    inferer, segmenter = PropagationInferer(), make_segmenter()
    with pytest.raises(ValueError, match=r"annotation has the shape \(64, 64, 8\), expected .*\(64, 64, 9\)"):
        inferer(as_tensor(image), segmenter, annotation=as_tensor(annotation[:8]))
    with pytest.raises(ValueError, match="no label on any slice"):
        inferer(as_tensor(image), segmenter, annotation=as_tensor(np.zeros_like(annotation)))
    with pytest.raises(ValueError, match="inputs must have the shape"):
        inferer(torch.zeros(2, 1, 4, 4, 4), segmenter, annotation=torch.zeros(2, 1, 4, 4, 4))
    with pytest.raises(ValueError, match="spacing must be three"):
        inferer(as_tensor(image), segmenter, annotation=as_tensor(annotation), spacing=(1, 2))
    with pytest.raises(ValueError, match="slice_axis"):
        PropagationInferer(slice_axis=5)
    with pytest.raises(ValueError, match="annotation_complete"):
        PropagationInferer(annotation_complete="none")
