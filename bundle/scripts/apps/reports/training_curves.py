# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The curves of one training, or of several side by side, as one picture: losses, and class mIoU on held-out classes.

python -m scripts.apps.reports.training_curves OUTPUT_DIR [OUTPUT_DIR ...] --png FILE
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from .curves import draw_curves, read_scalars

__all__ = ["draw_training", "draw_trainings"]

_PANELS = {"train_loss": "training loss", "val_loss": "validation loss", "class_miou": "class mIoU"}
_CONTENTS = {
    "train_loss": "all terms, source classes",
    "val_loss": "query, held-out classes",
    "class_miou": "held-out classes",
}


def draw_training(output_dir: str | os.PathLike[str], target: str | os.PathLike[str] | None = None) -> Path:
    """Draw what a training logged below its ``output_dir``, over its epochs.

    Args:
        output_dir: of the training.
        target: PNG file; None makes it ``curves.png`` in ``output_dir``.

    Raises:
        FileNotFoundError: when there is no log.
        ValueError: when the log has no validation.
    """
    scalars = _read(output_dir)
    panels = {label: {_CONTENTS[tag]: scalars[tag]} for tag, label in _PANELS.items()}
    return draw_curves(target or Path(output_dir) / "curves.png", panels, x_label="epoch", title=Path(output_dir).name)


def draw_trainings(output_dirs: Sequence[str | os.PathLike[str]], target: str | os.PathLike[str]) -> Path:
    """Draw several trainings, a line each, named as their folders.

    Args:
        output_dirs: of the trainings.
        target: PNG file.

    Raises:
        FileNotFoundError: when one has no log.
        ValueError: when a log has no validation, or two folders have one name.
    """
    found = {Path(output_dir).name: _read(output_dir) for output_dir in output_dirs}
    if len(found) < len(output_dirs):
        raise ValueError(f"the folders of two trainings have one name: {', '.join(map(str, output_dirs))}")
    panels = {
        f"{label}\n({_CONTENTS[tag]})": {name: scalars[tag] for name, scalars in found.items()}
        for tag, label in _PANELS.items()
    }
    return draw_curves(target, panels, x_label="epoch")


def _read(output_dir: str | os.PathLike[str]) -> dict[str, list[tuple[int, float]]]:
    scalars = read_scalars(output_dir)
    missing = [tag for tag in _PANELS if tag not in scalars]
    if missing:
        raise ValueError(f"the log in {output_dir} has no {', '.join(missing)} (it has {', '.join(sorted(scalars))})")
    return scalars


def main(command: Sequence[str] | None = None) -> Path:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output_dirs", nargs="+", metavar="OUTPUT_DIR", help="of a training")
    parser.add_argument("--png", help="the picture; by default curves.png in the first folder")
    arguments = parser.parse_args(command)
    if len(arguments.output_dirs) == 1:
        return draw_training(arguments.output_dirs[0], arguments.png)
    return draw_trainings(arguments.output_dirs, arguments.png or Path(arguments.output_dirs[0]) / "curves.png")


if __name__ == "__main__":
    print(main())
