# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What a command shows of messages and warnings."""

from __future__ import annotations

CODE = """
import logging, sys, warnings
from segprompt.cli.quiet import be_quiet
be_quiet(verbose=len(sys.argv) > 1)
from monai.apps import get_logger
get_logger("monai.bundle.workflows").warning("no logging file")
get_logger("monai.bundle.workflows").error("a library's error")
warnings.warn("torch.jit is old", FutureWarning)
logging.getLogger("segprompt.transforms").info("wrote V_seg.nii.gz")
logging.getLogger("segprompt.transforms").warning("no DICOM was written")
trainer = logging.getLogger("ignite.engine.engine.SupervisedTrainer")
trainer.info("Engine run finished.")
get_logger("monai.handlers.StatsHandler").info("Epoch[1] Metrics -- class_miou: 0.3")
"""


def test_own_messages_and_results_are_shown(python) -> None:
    done = python(CODE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "error: a library's error",
        "wrote V_seg.nii.gz",
        "warning: no DICOM was written",
        "Epoch[1] Metrics -- class_miou: 0.3",
    ]
    assert done.stderr == ""


def test_verbose_shows_all(python) -> None:
    done = python(CODE, "verbose")
    assert "monai.bundle.workflows WARNING no logging file" in done.stdout
    assert "Engine run finished." in done.stdout
    assert "torch.jit is old" in done.stderr
