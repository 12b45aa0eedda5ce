# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Checkpoints from which an interrupted training goes on to the same weights as an unbroken one.

MONAI's CheckpointSaver writes in place (a SIGKILL meanwhile leaves half a file under the final name) and keeps
neither the random generators nor the best metric with the weights. Here both are in the file, which is written beside
and renamed, at the end of an epoch: after validation and the learning-rate schedule. What an interrupted epoch had
done is dropped and done again from the same state.
"""

from __future__ import annotations

import io
import json
import logging
import os
import pickle
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist
from ignite.engine import Events
from monai.engines import Evaluator, Trainer
from torch import nn

from ..files.atomic import remove_partial_files, write_bytes
from .experiment import Experiment
from .random_state import random_state, restore_random_state
from .schedule_length import replayed_schedules
from .weights import load_state, read_checkpoint

__all__ = ["TrainingCheckpoint"]

_TERMINATED = 128 + signal.SIGTERM  # what a shell reports for a process that SIGTERM ended


class TrainingCheckpoint:
    """Save a training at the end of every epoch and go on from what is saved.

    Files in ``ckpt_dir``: ``last.pt`` after every epoch and, where an evaluator with a key metric is given,
    ``best.pt`` of the epoch with the highest value (the first of equals). Both hold {model, optimizer, lr_scheduler,
    …} as in ``save_dict``, and ``trainer``, ``random_state``, ``best``, ``experiment``, ``experiment_sha256``,
    ``network``. ``best.pt`` is written first: if the process dies between the two, the epoch is done again and both are
    written. Beside them lies ``experiment.json``, what the training is, for readers.

    A training goes on only where it is the same experiment. With more epochs than before, the learning rates from there
    on are those of an unbroken training of the new length.

    Attach it in ``initialize``, after the trainer was built (``$@checkpointing.attach(@train#trainer)``): among the
    trainer's handlers it would be a circular reference, and it has to run after them.

    SIGTERM during training ends the process at once, with exit code 143 and a line that names the checkpoint.

    Args:
        ckpt_dir: folder of the files (not ``models/``, where readers look for the shipped weights).
        save_dict: name -> object with ``state_dict`` and ``load_state_dict``.
        evaluator: engine whose key metric chooses ``best.pt``.
        experiment: what the training is, and must be to go on; kept in the file and compared.
        network: what builds the network again (``scripts.apps.describe_network``), kept in the file as it is.
        resume: go on from ``last.pt`` where there is one; False starts anew and replaces it.
    """

    def __init__(
        self,
        ckpt_dir: str | os.PathLike[str],
        save_dict: Mapping[str, Any],
        *,
        evaluator: Evaluator | None = None,
        experiment: Experiment | None = None,
        network: str | None = None,
        resume: bool = True,
    ) -> None:
        self.last_file = Path(ckpt_dir) / "last.pt"
        self.best_file = Path(ckpt_dir) / "best.pt"
        self.save_dict = dict(save_dict)
        self.evaluator = evaluator
        self.experiment = experiment
        self.network = network
        self.resume = resume
        self.best: dict[str, Any] = {}  # metric, value, epoch
        self._validated: float | None = None
        self._verified = False
        self._terminated = False
        self._previous_signal_handler: Any = None
        self._trainer: Trainer | None = None
        self._logger = logging.getLogger(__name__)

    def attach(self, trainer: Trainer) -> None:
        """Attach to the trainer, after its other handlers.

        Raises:
            ValueError: when the evaluator has no key metric to choose ``best.pt`` by.
        """
        self._trainer = trainer
        trainer.add_event_handler(Events.STARTED, self._start)
        trainer.add_event_handler(Events.EPOCH_STARTED, self._forget_metric)
        trainer.add_event_handler(Events.ITERATION_STARTED, self._stop_if_terminated)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self._save)
        trainer.add_event_handler(Events.COMPLETED | Events.TERMINATE, self._release_signal)
        if self.evaluator is not None:
            if getattr(self.evaluator.state, "key_metric_name", None) is None:
                raise ValueError("the evaluator has no key metric to choose best.pt by: give it key_val_metric")
            self.evaluator.add_event_handler(Events.COMPLETED, self._take_metric)

    def _start(self, trainer: Trainer) -> None:
        if _rank() == 0:
            remove_partial_files(self.last_file)
            remove_partial_files(self.best_file)
        if self.last_file.is_file():
            if self.resume:
                self._load(trainer)
            else:
                self._logger.warning("starting anew: the training in %s will be replaced", self.last_file)
        if _rank() == 0 and self.experiment is not None:
            self.experiment.write(self.last_file.parent)
        self._catch_signal()

    def _load(self, trainer: Trainer) -> None:
        checkpoint = read_checkpoint(self.last_file)
        missing = sorted({*self.save_dict, "trainer", "random_state"} - set(checkpoint))
        if missing:
            raise ValueError(f"{self.last_file} is no checkpoint of this training: it has no {', '.join(missing)}")
        self._same_experiment(checkpoint)
        max_epochs, epoch_length = trainer.state.max_epochs, trainer.state.epoch_length
        if checkpoint["trainer"].get("epoch_length") != epoch_length:
            raise ValueError(
                f"{self.last_file} counts {checkpoint['trainer'].get('epoch_length')} iterations an epoch, this "
                f"training {epoch_length}: give the same number of episodes and batch size to go on"
            )
        states = {name: _unwrap(target) for name, target in self.save_dict.items()}
        has_new_length = checkpoint["trainer"].get("max_epochs") != max_epochs
        schedules = replayed_schedules(states, checkpoint) if has_new_length else {}
        for name, target in states.items():
            if name not in schedules:
                load_state(target, checkpoint[name], self.last_file, name=name)
        for schedule in schedules.values():
            schedule.take_effect()
        load_state(trainer, checkpoint["trainer"], self.last_file, name="trainer (epochs or episodes per epoch)")
        trainer.state.max_epochs = max_epochs
        scaler = getattr(trainer, "scaler", None)
        if scaler is not None and "scaler" in checkpoint:
            load_state(scaler, checkpoint["scaler"], self.last_file, name="gradient scaler")
        self.best = dict(checkpoint.get("best", {}))
        if self.evaluator is not None and self.best:
            self.evaluator.state.best_metric = self.best["value"]
            self.evaluator.state.best_metric_epoch = self.best["epoch"]
        generators = checkpoint["random_state"]
        restore_random_state(generators[min(_rank(), len(generators) - 1)])
        epoch = trainer.state.epoch
        title = f" ({self.experiment.title()})" if self.experiment is not None else ""
        if max_epochs is not None and epoch >= max_epochs:
            self._logger.warning(
                "%s holds epoch %d of %d%s: the training is finished. More epochs go on from it; "
                "another ckpt_dir, or resume False, starts anew",
                self.last_file, epoch, max_epochs, title,
            )  # fmt: skip
        else:
            self._logger.info(
                "going on from %s, which holds epoch %d of %s%s", self.last_file, epoch, max_epochs, title
            )

    def _same_experiment(self, checkpoint: Mapping[str, Any]) -> None:
        saved = checkpoint.get("experiment")
        if saved is None and self.experiment is None:
            return
        if saved is None:
            raise ValueError(
                f"{self.last_file} doesn't say which training it is of, as checkpoints of earlier versions don't, so "
                "it can't be gone on from: give another ckpt_dir, or resume False to start anew"
            )
        if self.experiment is None:
            raise ValueError(
                f"{self.last_file} says which training it is of, this configuration doesn't: give TrainingCheckpoint "
                "its experiment, as configs/train.json does, or another ckpt_dir"
            )
        other = self.experiment.differences(json.loads(saved))
        if other:
            raise ValueError(
                f"{self.last_file} is of another training: {'; '.join(other)}. Give the same values to go on, another "
                "ckpt_dir or output_dir for a training of its own, or resume False to start anew"
            )

    def _forget_metric(self, trainer: Trainer) -> None:
        self._validated = None  # of a validation before this epoch's training

    def _take_metric(self, evaluator: Evaluator) -> None:
        self._validated = float(evaluator.state.metrics[evaluator.state.key_metric_name])

    def _save(self, trainer: Trainer) -> None:
        states = _gather(random_state())
        is_best = self._validated is not None and self._validated > self.best.get("value", float("-inf"))
        if is_best:
            name = self.evaluator.state.key_metric_name if self.evaluator is not None else None
            self.best = {"metric": name, "value": self._validated, "epoch": trainer.state.epoch}
        if _rank() != 0:
            return
        checkpoint = {name: _unwrap(target).state_dict() for name, target in self.save_dict.items()}
        checkpoint.update(trainer=trainer.state_dict(), random_state=states, best=self.best)
        if self.experiment is not None:
            checkpoint.update(experiment=self.experiment.as_json(), experiment_sha256=self.experiment.sha256)
        if self.network is not None:
            checkpoint["network"] = self.network
        scaler = getattr(trainer, "scaler", None)
        if scaler is not None:
            checkpoint["scaler"] = scaler.state_dict()
        content = self._serialise(checkpoint)
        if is_best:
            write_bytes(self.best_file, content)
        write_bytes(self.last_file, content)
        self._logger.info(
            "epoch %d is in %s%s", trainer.state.epoch, self.last_file, f" and {self.best_file}" if is_best else ""
        )

    def _serialise(self, checkpoint: dict[str, Any]) -> memoryview:
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        if not self._verified:  # better told after the first epoch than at the resume
            buffer.seek(0)
            try:
                torch.load(buffer, weights_only=True)
            except pickle.UnpicklingError as error:
                raise TypeError(
                    f"the state of {', '.join(self.save_dict)} can't be saved: tensors and plain values only"
                ) from error
            self._verified = True
        return buffer.getbuffer()

    def _catch_signal(self) -> None:
        # Python lets only the main thread set signal handlers; elsewhere SIGTERM keeps its default
        if threading.current_thread() is threading.main_thread():
            self._previous_signal_handler = signal.signal(signal.SIGTERM, self._terminate)

    def _release_signal(self, trainer: Trainer) -> None:
        if self._previous_signal_handler is not None:
            signal.signal(signal.SIGTERM, self._previous_signal_handler)
            self._previous_signal_handler = None

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        self._terminated = True
        if (
            torch.utils.data.get_worker_info() is None
        ):  # a forked data worker inherits this handler, but has nothing to say
            self._say_where_it_goes_on()
        logging.disable(logging.CRITICAL)  # engines and handlers would log a traceback below that line
        raise SystemExit(_TERMINATED)

    def _say_where_it_goes_on(self) -> None:
        epoch = self._trainer.state.epoch if self._trainer is not None else 0
        if self.last_file.is_file():
            where = f"the same command goes on from {self.last_file}"
        else:
            where = "no epoch is saved yet, so the same command starts anew"
        self._logger.warning("SIGTERM: training stopped in epoch %d; %s", epoch, where)

    def _stop_if_terminated(self, trainer: Trainer) -> None:
        # SystemExit is lost where Python can't raise it (in a destructor): then the next iteration stops
        if self._terminated:
            raise SystemExit(_TERMINATED)


def _unwrap(target: Any) -> Any:
    return target.module if isinstance(target, nn.parallel.DistributedDataParallel | nn.DataParallel) else target


def _rank() -> int:
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def _gather(state: dict[str, Any]) -> list[dict[str, Any]]:
    if not (dist.is_available() and dist.is_initialized()):
        return [state]
    states: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(states, state)
    return states
