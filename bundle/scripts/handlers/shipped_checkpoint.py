# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Whether the bundle's own weights are those of the network at hand."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from ..networks.segmenter import Segmenter, described_network
from .weights import read_checkpoint

__all__ = ["shipped_checkpoint"]


def shipped_checkpoint(path: str | os.PathLike[str], network: Segmenter) -> str | None:
    """Choose the shipped weights when they are of the same host and backbone.

    Args:
        path: the bundle's ``models/model.pt``.
        network: the network that an overlay may have changed.

    Returns:
        The path, or None when there is no such file or it is of another network: the network then keeps the weights
        that its backbone came with.
    """
    logger = logging.getLogger(__name__)
    if not Path(path).is_file():
        logger.info("no %s: taking the weights that backbone %s comes with", path, network.backbone.name)
        return None
    found = described_network(read_checkpoint(path))
    if found != network.description():
        logger.info("%s is of %s; taking the weights that backbone %s comes with", path, found, network.backbone.name)
        return None
    return str(path)
