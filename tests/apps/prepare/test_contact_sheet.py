# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from scripts.apps.prepare.contact_sheet import choose_items, draw_contact_sheet
from scripts.data import read_image_folder, read_image_text

ORANGE = (0xE6, 0x9F, 0x00)


def described(number, **areas):
    return {"case_id": str(number), "classes": {name: [1] for name in areas}, "areas": areas}


def test_classes_take_turns():
    items = [described(number, dog=0.5) for number in range(20)] + [described(20, cat=0.1)]
    chosen = choose_items(items, 4)
    assert [item["case_id"] for item in chosen] == ["0", "20", "19"]
    assert len({item["case_id"] for item in choose_items(items, 21)}) == len(choose_items(items, 21))
    assert choose_items([described(1), described(2)], 5) == [described(1), described(2)]


def test_largest_slice_of_a_volume():
    volume = {"case_id": "1", "classes": {"liver": [1]}, "slice_areas": {"liver": [0, 0.1, 0.3, 0.2]}, "num_slices": 4}
    assert [item["slice"] for item in choose_items([volume], 3)] == [2]


def test_outlines_lie_where_the_mask_is(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    mask = np.zeros((96, 96), np.uint8)
    mask[24:48, 12:36] = 1  # at twice the size, rows 48-95 and columns 24-71 of a tile
    Image.fromarray(np.full((96, 96), 128, np.uint8)).save(tmp_path / "images" / "a.png")
    Image.fromarray(mask).save(tmp_path / "masks" / "a.png")
    path = draw_contact_sheet(tmp_path / "sheet.png", read_image_folder(tmp_path, ["lung"]))
    sheet = np.asarray(Image.open(path))
    tile = sheet[6:198, 6:198]
    outlined = (tile == ORANGE).all(-1)
    rows, columns = np.nonzero(outlined)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (48, 95, 24, 71)
    assert outlined.sum() == 4 * 47
    assert tuple(tile[10, 10]) == (128, 128, 128)
    assert (sheet[-22:] == ORANGE).all(-1).sum() > 100  # the legend


def test_pairs_of_a_set(kvasir_folder, tmp_path):
    path = draw_contact_sheet(tmp_path / "sheet.png", read_image_text(kvasir_folder), num_shown=2)
    assert Image.open(path).size == (2 * 198 + 6, 216 + 6 + 22)
    with pytest.raises(ValueError, match=r"no image to draw on .*empty\.png"):
        draw_contact_sheet(tmp_path / "empty.png", [])
