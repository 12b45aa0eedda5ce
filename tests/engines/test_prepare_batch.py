# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
import pytest
import torch
from monai.data import list_data_collate

from scripts.engines import PrepareEpisode


def episode(shots: int = 2, **extra) -> dict:
    return {
        "image": torch.rand(3, 8, 8),
        "label": torch.ones(1, 6, 5),
        "support_image": torch.rand(shots, 3, 8, 8),
        "support_label": torch.zeros(shots, 1, 8, 8),
        "class_name": "dog",
        **extra,
    }


@pytest.mark.parametrize("shots", [1, 5])
def test_support_becomes_keyword_arguments(shots):
    batch = list_data_collate([episode(shots), episode(shots)])
    image, label, args, kwargs = PrepareEpisode()(batch, "cpu")
    assert torch.equal(image, batch["image"])
    assert torch.equal(label, batch["label"])
    assert args == ()
    assert set(kwargs) == {"support_image", "support_label"}
    assert kwargs["support_image"].shape == (2, shots, 3, 8, 8)


def test_text_is_passed_on_where_the_batch_has_it_and_the_label_on_request():
    batch = list_data_collate([episode(text_embedding=torch.rand(1, 4))])
    _, label, _, kwargs = PrepareEpisode(with_query_label=True)(batch, "cpu")
    assert set(kwargs) == {"support_image", "support_label", "text_embedding", "query_label"}
    assert kwargs["query_label"] is label


def test_cached_features_become_single_precision_on_the_device():
    features = {"c3": torch.rand(4, 3, 3).half(), "c4": torch.rand(6, 2, 2).half()}
    supports = {level: feature[None] for level, feature in features.items()}
    batch = list_data_collate([episode(1, image=features, support_image=supports)])
    image, _, _, kwargs = PrepareEpisode()(batch, torch.device("meta"))
    assert {level: (feature.dtype, feature.device.type, tuple(feature.shape)) for level, feature in image.items()} == {
        "c3": (torch.float32, "meta", (1, 4, 3, 3)),
        "c4": (torch.float32, "meta", (1, 6, 2, 2)),
    }
    assert kwargs["support_image"]["c3"].shape == (1, 1, 4, 3, 3)
    values, _, _, _ = PrepareEpisode()(batch)
    assert torch.equal(values["c3"][0], features["c3"].float())


def test_further_arguments_reach_tensor_to():
    image, label, _, _ = PrepareEpisode()(list_data_collate([episode()]), "cpu", dtype=torch.float64)
    assert image.dtype == label.dtype == torch.float64


def test_a_batch_without_support_is_refused_by_name():
    batch = list_data_collate([episode()])
    del batch["support_label"]
    with pytest.raises(KeyError, match=r"support_label.*batch has: image, label, support_image, class_name"):
        PrepareEpisode()(batch)
