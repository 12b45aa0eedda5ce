# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
import importlib.util
import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ignite.engine import Events

from scripts.files import atomic
from scripts.handlers import Experiment, TrainingCheckpoint, load_weights, read_checkpoint

PROGRAM = Path(__file__).with_name("toy_training.py")
_spec = importlib.util.spec_from_file_location("toy_training", PROGRAM)
toy_training = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(toy_training)
make_training, EPOCHS = toy_training.make_training, toy_training.EPOCHS


def assert_equal_training(folder: Path, other: Path) -> None:
    for name in ("last.pt", "best.pt"):
        mine, theirs = read_checkpoint(folder / name), read_checkpoint(other / name)
        assert mine["trainer"]["iteration"] == theirs["trainer"]["iteration"]
        assert mine["best"] == theirs["best"]
        assert mine["lr_scheduler"] == theirs["lr_scheduler"]
        assert mine["model"].keys() == theirs["model"].keys()
        for key, weight in mine["model"].items():
            assert torch.equal(weight, theirs["model"][key]), (name, key)
        for index, state in mine["optimizer"]["state"].items():
            assert torch.equal(state["momentum_buffer"], theirs["optimizer"]["state"][index]["momentum_buffer"])


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    make_training(folder)[0].run()
    return folder


def test_files_and_contents(unbroken):
    assert sorted(os.listdir(unbroken)) == ["best.pt", "last.pt"]
    last, best = read_checkpoint(unbroken / "last.pt"), read_checkpoint(unbroken / "best.pt")
    assert set(last) == {"model", "optimizer", "lr_scheduler", "trainer", "random_state", "best"}
    assert last["trainer"]["iteration"] == EPOCHS * 3
    assert last["best"]["metric"] == "class_miou"
    assert best["trainer"]["iteration"] == 3 * last["best"]["epoch"]
    assert last["lr_scheduler"]["last_epoch"] == EPOCHS


def test_best_is_the_first_of_the_highest(tmp_path):
    trainer, checkpointing = make_training(tmp_path)
    values = iter([0.25, 0.5, 0.5, 0.125])
    checkpointing.evaluator.add_event_handler(
        Events.EPOCH_COMPLETED, lambda engine: engine.state.metrics.update(class_miou=next(values))
    )
    trainer.run()
    assert read_checkpoint(tmp_path / "best.pt")["trainer"]["iteration"] == 2 * 3
    assert checkpointing.best == {"metric": "class_miou", "value": 0.5, "epoch": 2}


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_a_stopped_training_goes_on_to_equal_bits(tmp_path, unbroken, stop_after):
    make_training(tmp_path, epochs=stop_after)[0].run()
    trainer, checkpointing = make_training(tmp_path, seed=99)  # nothing may hang on the state before the resume
    trainer.run()
    assert_equal_training(tmp_path, unbroken)
    assert checkpointing.evaluator.state.best_metric == checkpointing.best["value"]


@pytest.mark.parametrize("iteration", [2, 5, 9])
def test_what_an_interrupted_epoch_did_is_dropped(tmp_path, unbroken, iteration):
    trainer, _ = make_training(tmp_path)

    def die(engine):
        raise KeyboardInterrupt

    trainer.add_event_handler(Events.ITERATION_COMPLETED(once=iteration), die)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    make_training(tmp_path)[0].run()
    assert_equal_training(tmp_path, unbroken)


@pytest.mark.parametrize("write", range(5))
def test_dying_between_or_within_the_writes(tmp_path, unbroken, monkeypatch, write):
    writes = iter(range(100))
    replace = os.replace

    def die_at_the_nth_rename(source, target):
        if next(writes) == write:
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(atomic.os, "replace", die_at_the_nth_rename)
        with pytest.raises(KeyboardInterrupt):
            make_training(tmp_path)[0].run()
    make_training(tmp_path)[0].run()
    assert_equal_training(tmp_path, unbroken)


def run_program(folder: Path, bundle_root: Path, *arguments: str) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(bundle_root), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), str(folder), *arguments], env=environment, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_killed_process_goes_on_to_equal_bits(tmp_path, unbroken, bundle_root, number, code):
    process = run_program(tmp_path, bundle_root, "0.05")
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("iteration 8"):  # in the third epoch
            process.send_signal(number)
    assert process.wait() == code
    assert "finished\n" not in lines
    if number == signal.SIGTERM:
        assert (
            lines[-1] == f"SIGTERM: training stopped in epoch 3; the same command goes on from {tmp_path / 'last.pt'}\n"
        )
    assert read_checkpoint(tmp_path / "last.pt")["trainer"]["iteration"] == 6
    output, _ = run_program(tmp_path, bundle_root).communicate(timeout=120)
    assert f"going on from {tmp_path / 'last.pt'}, which holds epoch 2 of {EPOCHS}" in output
    assert output.endswith("finished\n")
    assert_equal_training(tmp_path, unbroken)


def test_the_signal_handler_is_only_there_while_training(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    trainer, checkpointing = make_training(tmp_path, epochs=1)
    during = []
    trainer.add_event_handler(Events.EPOCH_STARTED, lambda engine: during.append(signal.getsignal(signal.SIGTERM)))
    trainer.run()
    assert during == [checkpointing._terminate]
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_finished_training_stays_and_says_so(tmp_path, unbroken, caplog):
    own = Experiment({"names": {"host": "toy", "data": "made"}, "options": {"fold": 3}})
    make_training(tmp_path, epochs=2, experiment=own)[0].run()
    before = (tmp_path / "last.pt").read_bytes()
    with caplog.at_level(logging.WARNING):
        make_training(tmp_path, epochs=2, experiment=own)[0].run()
    assert "holds epoch 2 of 2 (host toy, data made, fold 3): the training is finished" in caplog.text
    assert (tmp_path / "last.pt").read_bytes() == before


def test_resume_false_starts_anew(tmp_path, unbroken):
    make_training(tmp_path, epochs=2, seed=7)[0].run()
    make_training(tmp_path, resume=False)[0].run()
    assert_equal_training(tmp_path, unbroken)


def experiment(**values: object) -> Experiment:
    return Experiment({"names": {"host": "toy"}, "options": values})


def test_another_experiment_is_refused_by_name(tmp_path):
    first = experiment(fold=0, seed=1)
    make_training(tmp_path, epochs=1, experiment=first)[0].run()
    assert read_checkpoint(tmp_path / "last.pt")["experiment_sha256"] == first.sha256
    assert json.loads((tmp_path / "experiment.json").read_text())["options"] == {"fold": 0, "seed": 1}
    trainer, _ = make_training(tmp_path, experiment=experiment(fold=1, seed=1))
    with pytest.raises(ValueError, match=r"last.pt is of another training: fold was 0, now 1\. Give the same"):
        trainer.run()
    assert json.loads((tmp_path / "experiment.json").read_text())["options"]["fold"] == 0
    make_training(tmp_path, experiment=experiment(fold=1, seed=1), resume=False)[0].run()
    assert json.loads((tmp_path / "experiment.json").read_text())["options"]["fold"] == 1


def test_a_checkpoint_without_an_experiment_is_not_taken_for_one(tmp_path):
    make_training(tmp_path, epochs=1)[0].run()
    trainer, _ = make_training(tmp_path, experiment=experiment())
    with pytest.raises(ValueError, match=r"last.pt doesn't say which training it is of, as checkpoints of earlier"):
        trainer.run()
    make_training(tmp_path / "other", epochs=1, experiment=experiment())[0].run()
    trainer, _ = make_training(tmp_path / "other")
    with pytest.raises(ValueError, match=r"this configuration doesn't: give TrainingCheckpoint its experiment"):
        trainer.run()


def test_what_builds_the_network_is_kept(tmp_path):
    make_training(tmp_path, epochs=1, network='{"sections": {}}')[0].run()
    assert read_checkpoint(tmp_path / "best.pt")["network"] == '{"sections": {}}'


def test_another_epoch_length_is_refused(tmp_path):
    make_training(tmp_path, epochs=1)[0].run()
    trainer, _ = make_training(tmp_path)
    trainer.state.epoch_length = 5
    with pytest.raises(ValueError, match=r"last.pt counts 3 iterations an epoch, this training 5"):
        trainer.run()


def test_a_checkpoint_of_another_network_names_the_file(tmp_path):
    make_training(tmp_path, epochs=1)[0].run()
    trainer, checkpointing = make_training(tmp_path)
    checkpointing.save_dict["model"] = torch.nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"last.pt doesn't fit this model: Error.* state_dict for Linear"):
        trainer.run()
    with pytest.raises(ValueError, match=r"best.pt doesn't fit this network: .*Linear"):
        load_weights(torch.nn.Linear(2, 2), tmp_path / "best.pt")


def test_a_state_that_cannot_be_loaded_again_is_refused_at_the_first_save(tmp_path):
    trainer, checkpointing = make_training(tmp_path, epochs=1, validate=False)
    checkpointing.best["folder"] = Path("x")
    with pytest.raises(TypeError, match="tensors and plain values only"):
        trainer.run()
    assert os.listdir(tmp_path) == []


def test_an_evaluator_without_key_metric_is_refused(tmp_path):
    trainer, checkpointing = make_training(tmp_path)
    checkpointing.evaluator.state.key_metric_name = None
    with pytest.raises(ValueError, match="no key metric to choose"):
        checkpointing.attach(trainer)


def test_without_an_evaluator_only_the_last_is_kept(tmp_path):
    make_training(tmp_path, epochs=2, validate=False)[0].run()
    assert os.listdir(tmp_path) == ["last.pt"]
    assert isinstance(make_training(tmp_path, validate=False)[1], TrainingCheckpoint)
