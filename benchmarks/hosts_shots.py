# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What shots and slices cost: five shots against one, and a whole volume with one prompt against slice by slice.

Every shipped host on efficientnet_lite2 at 400 x 400, one thread. "Literal" is what the name of a row says: five
encodings of one shot, the query of a one-shot prompt, slices that pass backbone and head one at a time, backbone and
head by themselves, or an episode of its own for every slice, support and all.

python benchmarks/hosts_shots.py [HOST ...] [--json FILE]
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "bundle")]

import torch  # noqa: E402
from monai.bundle import ConfigParser  # noqa: E402
from torch import Tensor  # noqa: E402

from _harness import compare, run  # noqa: E402
from scripts.inferers.episode_inferer import segment_in_batches  # noqa: E402
from scripts.networks import Segmenter  # noqa: E402

CONFIGS = Path(__file__).parents[1] / "bundle" / "configs"
HOSTS = sorted(file.stem for file in (CONFIGS / "hosts").glob("*.json"))
SIDE, SHOTS, SLICES, BATCH = 400, 5, 36, 8


def make_segmenter(host: str) -> Segmenter:
    """A host by its overlay, with untrained weights."""
    config = ConfigParser()
    config.read_config([str(CONFIGS / "train.json"), str(CONFIGS / "hosts" / f"{host}.json")])
    config["bundle_root"] = str(CONFIGS.parent)
    config.get_parsed_content("imports", eval_expr=True)
    torch.manual_seed(0)
    return config.get_parsed_content("network_def").eval()


def make_images(number: int) -> tuple[Tensor, Tensor]:
    """Pictures with a brighter square, and its mask: (N, 3, S, S), (N, 1, S, S)."""
    generator = torch.Generator().manual_seed(0)
    images = 0.5 * torch.rand(number, 3, SIDE, SIDE, generator=generator)
    masks = torch.zeros(number, 1, SIDE, SIDE)
    for index in range(number):
        row, column = 80 + 3 * (index % 20), 120 + 2 * (index % 20)
        masks[index, :, row : row + 170, column : column + 170] = 1
    return images + 0.4 * masks, masks


@torch.no_grad()
def rows_of(name: str) -> list[dict[str, Any]]:
    """Rows of a host."""
    segmenter = make_segmenter(name)
    images, masks = make_images(SHOTS)
    slices, _ = make_images(SLICES)
    supports = {level: maps[None] for level, maps in segmenter.features(images).items()}
    labels = masks[None]
    first = {level: maps[:, :1] for level, maps in supports.items()}
    query = segmenter.features(slices[:1])

    def one_by_one() -> list[Any]:
        return [
            segmenter.encode_prompt({k: maps[:, i : i + 1] for k, maps in supports.items()}, labels[:, i : i + 1])
            for i in range(SHOTS)
        ]

    one, five = segmenter.encode_prompt(first, labels[:, :1]), segmenter.encode_prompt(supports, labels)

    def volume() -> Tensor:
        prompt = segmenter.encode_prompt(images[None, :1], labels[:, :1])
        return segment_in_batches(segmenter, slices, prompt, batch_size=1)  # as evaluation does on a CPU

    def volume_by_episodes() -> Tensor:
        return torch.cat([segmenter(each[None], images[None, :1], labels[:, :1]) for each in slices])

    def batch() -> Tensor:
        return segmenter.segment(slices[:BATCH], one)

    def parts() -> Tensor:
        features = [segmenter.features(each[None]) for each in slices[:BATCH]]
        return torch.cat([segmenter.segment(each, one, (SIDE, SIDE)) for each in features])

    def batch_by_slices() -> Tensor:
        return torch.cat([segmenter.segment(each[None], one) for each in slices[:BATCH]])

    no_difference = float("nan")  # different questions
    difference = (batch() - batch_by_slices()).abs().max().item()
    encode = partial(segmenter.encode_prompt, supports, labels)
    return [
        compare(f"{name}: 5 shots encoded (5 times 1)", encode, one_by_one, max_difference=no_difference, rounds=5),
        compare(
            f"{name}: query of 5 shots (of 1)",
            partial(segmenter.segment, query, five),
            partial(segmenter.segment, query, one),
            max_difference=no_difference,
            rounds=5,
        ),
        compare(f"{name}: {BATCH} slices (singly)", batch, batch_by_slices, max_difference=difference, rounds=3),
        compare(
            f"{name}: {BATCH} slices singly (backbone, then head)",
            batch_by_slices,
            parts,
            max_difference=(batch_by_slices() - parts()).abs().max().item(),
            rounds=3,
        ),
        compare(
            f"{name}: {SLICES} slices (as episodes)",
            volume,
            volume_by_episodes,
            max_difference=(volume() - volume_by_episodes()).abs().max().item(),
            rounds=1,
        ),
    ]


def benchmark(hosts: list[str]) -> list[dict[str, Any]]:
    """Gather the rows of the given hosts, or of all."""
    table: list[dict[str, Any]] = []
    for host in hosts or HOSTS:
        print(f"measuring {host}", file=sys.stderr)
        table += rows_of(host)
    return table


if __name__ == "__main__":
    run(benchmark, __doc__, choices=HOSTS)
