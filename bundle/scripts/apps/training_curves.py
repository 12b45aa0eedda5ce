# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The curves of a training as one picture: losses, and class mIoU on the held-out classes.

python -m scripts.apps.training_curves OUTPUT_DIR [PNG]
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from scripts.apps.curves import draw_curves, read_scalars

__all__ = ["draw_training"]


def draw_training(output_dir: str | os.PathLike[str], target: str | os.PathLike[str] | None = None) -> Path:
    """Draw what a training logged below its ``output_dir``, over its epochs.

    Args:
        output_dir: of the training.
        target: PNG file; None makes it ``curves.png`` in ``output_dir``.

    Raises:
        FileNotFoundError: when there is no log.
        ValueError: when the log has no validation.
    """
    scalars = read_scalars(output_dir)
    missing = [tag for tag in ("train_loss", "val_loss", "class_miou") if tag not in scalars]
    if missing:
        raise ValueError(f"the log in {output_dir} has no {', '.join(missing)} (it has {', '.join(sorted(scalars))})")
    panels = {
        "training loss": {"all terms, source classes": scalars["train_loss"]},
        "validation loss": {"query, held-out classes": scalars["val_loss"]},
        "class mIoU": {"held-out classes": scalars["class_miou"]},
    }
    return draw_curves(target or Path(output_dir) / "curves.png", panels, x_label="epoch", title=Path(output_dir).name)


if __name__ == "__main__":
    print(draw_training(*sys.argv[1:3]))
