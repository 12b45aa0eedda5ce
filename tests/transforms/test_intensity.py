# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from torch import Tensor

from scripts.transforms import ScaleIntensityBodyd, ScaleIntensityWindowd, body_range
from scripts.transforms.intensity import volume_range


@pytest.fixture
def body() -> Tensor:
    """A round body of values 300 to 900 in noise of 1 to 30."""
    generator = torch.Generator().manual_seed(0)
    grid = torch.linspace(-1, 1, 40)
    inside = (grid[:, None, None] ** 2 + grid[None, :, None] ** 2 < 0.5).expand(40, 40, 12)
    tissue = 300 + 600 * torch.rand(40, 40, 12, generator=generator)
    return torch.where(inside, tissue, 1 + 29 * torch.rand(40, 40, 12, generator=generator))[None]


@pytest.fixture
def ct() -> Tensor:
    """A round body of fat, soft tissue, contrast medium and bone, with lungs, in air."""
    generator = torch.Generator().manual_seed(0)
    grid = torch.linspace(-1, 1, 40)
    inside = (grid[:, None, None] ** 2 + grid[None, :, None] ** 2 < 0.5).expand(40, 40, 12)
    tissues = torch.tensor([-850.0, -100, 40, 60, 180, 700])
    chosen = tissues[torch.randint(len(tissues), inside.shape, generator=generator)]
    noise = 12 * torch.randn(inside.shape, generator=generator)
    return (torch.where(inside, chosen, -1000.0) + noise).clamp(-1024, 3071).round()[None]


def scaled(volume: Tensor) -> Tensor:
    return ScaleIntensityBodyd("image")({"image": volume})["image"]


def test_empty_margins_change_nothing(body: Tensor) -> None:
    padded = torch.nn.functional.pad(body, (0, 4, 30, 30, 10, 50))
    assert body_range(padded) == pytest.approx(body_range(body), rel=5e-3)  # the lowest voxel counts now, too
    padded_more = torch.nn.functional.pad(padded, (3, 3, 20, 20, 20, 20))
    assert body_range(padded_more) == body_range(padded)
    torch.testing.assert_close(scaled(padded_more)[:, 20:-20, 20:-20, 3:-3], scaled(padded))


def test_the_upper_end_is_a_percentile_of_the_body(body: Tensor) -> None:
    """Over all voxels it would depend on how much noise surrounds the body."""
    _, high = body_range(body, upper=90)
    assert high == pytest.approx(np.percentile(body[body > 200].numpy(), 90), rel=1e-4)
    _, cropped = body_range(body[:, 6:34, 6:34], upper=90)
    assert high == pytest.approx(cropped, rel=0.01)
    whole = np.percentile(body.numpy(), 90)
    assert abs(whole - high) > 50


def test_hot_voxels_do_not_dim_the_image(body: Tensor) -> None:
    hot = body.clone()
    hot[0, 0, 0, :3] = 1e6
    assert body_range(hot)[1] == pytest.approx(body_range(body)[1], rel=0.01)


def test_result_is_float_in_zero_to_one_with_more_levels_than_eight_bits_have(body: Tensor) -> None:
    result = scaled((body * 10).to(torch.int32))
    assert result.dtype == torch.float32
    assert (result.min(), result.max()) == (0, 1)
    assert len(result.unique()) > 2000


def test_order_of_intensities_is_kept(body: Tensor) -> None:
    result = scaled(body).flatten()
    order = body.flatten().argsort()
    assert (result[order].diff() >= 0).all()


@pytest.mark.parametrize("value", [0.0, 7.0, -3.0])
def test_constant_volume_becomes_zero(value: float) -> None:
    assert scaled(torch.full((1, 3, 3, 3), value)).eq(0).all()


def test_two_values_become_zero_and_one() -> None:
    volume = torch.zeros(1, 4, 4, 4)
    volume[0, 1:3] = 9
    assert torch.equal(scaled(volume), (volume > 0).float())


def test_metadata_stay(body: Tensor) -> None:
    affine = torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0], dtype=torch.float64))
    result = scaled(MetaTensor(body, affine=affine))
    assert isinstance(result, MetaTensor)
    assert torch.equal(result.affine, affine)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("transform", [ScaleIntensityBodyd("image"), ScaleIntensityWindowd("image", 0, 1)])
def test_values_that_are_not_finite_are_refused(bad: float, transform: ScaleIntensityBodyd) -> None:
    volume = MetaTensor(torch.ones(1, 2, 2, 2), meta={"filename_or_obj": "scan_4.nii.gz"})
    volume[0, 0, 0, 0] = bad
    with pytest.raises(ValueError, match=r"scan_4\.nii\.gz has 1 voxels that are NaN or infinite"):
        transform({"image": volume})


def test_window_in_hounsfield_units() -> None:
    volume = torch.tensor([-1000.0, -150, 50, 250, 2000]).view(1, 5, 1, 1)
    result = ScaleIntensityWindowd("image", -150, 250)({"image": volume})["image"]
    torch.testing.assert_close(result.flatten(), torch.tensor([0, 0, 0.5, 1, 1]))


def test_a_ct_gets_the_soft_tissue_window_and_its_crop_the_same(ct: Tensor, body: Tensor) -> None:
    assert volume_range(ct) == (-150, 250)
    assert torch.equal(scaled(ct), ScaleIntensityWindowd("image", -150, 250)({"image": ct})["image"])
    assert torch.equal(scaled(ct[:, 4:30, 6:]), scaled(ct)[:, 4:30, 6:])  # a support may show another part of the body
    assert volume_range(body) == body_range(body)
    given = ScaleIntensityBodyd("image", window=(-1000, 1000))({"image": ct})["image"]
    assert not torch.equal(given, scaled(ct))


@pytest.mark.parametrize("window", [None, [-200.0, 300.0]])
def test_reference_inference_scales_as_evaluation_does(
    ct: Tensor, window: list[float] | None, bundle_root: Path, tmp_path: Path
) -> None:
    """Support and query of both pass the same transform; evaluation of CHAOS CT names the window that is found."""
    nibabel.save(nibabel.Nifti1Image(ct[0].numpy().astype(np.int16), np.diag([1.0, 1, 3, 1])), tmp_path / "ct.nii.gz")
    found = []
    for names in (
        ("train", "evaluate", "data/chaos_ct"),
        ("train", "evaluate", "data/image_folder"),
        ("inference", "inferers/reference"),
    ):
        parser = ConfigParser()
        parser.read_config([str(bundle_root / "configs" / f"{name}.json") for name in names])
        if window is not None:
            parser["intensity_window"] = window
        image: object = {"image": str(tmp_path / "ct.nii.gz")}
        for transform in parser.get_parsed_content("volume_transforms"):
            image = transform(image)
        found.append(image["image"])  # type: ignore[index]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    low, high = window or (-150, 250)
    assert torch.allclose(found[0].flip(1, 2).as_tensor(), ((ct - low) / (high - low)).clamp(0, 1))


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="must rise within 0 to 100"):
        ScaleIntensityBodyd("image", lower=60, upper=50)
    with pytest.raises(ValueError, match="must have a width"):
        ScaleIntensityWindowd("image", 5, 5)
