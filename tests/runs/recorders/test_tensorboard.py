"""TensorBoard events, read back with TensorBoard's own reader."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from dso.errors import UserError
from dso.runs.recorders import TensorBoard
from dso.training.stopping import Standing
from tests.support.iterations import ADD, X1, X2, folder, iteration

STATISTICS = {"loss": 3.0, "method_loss": 5.0, "entropy_loss": -2.0, "entropy": 4.0}


class OneWeight:
    """A policy as far as the recorder is concerned."""

    def __init__(self):
        self.weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        self.frozen = torch.tensor([9.0])

    def parameters(self):
        return [self.weight, self.frozen]

    def state_dict(self):
        return {"weight": np.ones(2), "frozen": np.ones(1)}


def step(number, rewards=(0.1, 0.5, 0.75), kept=(False, True, True)):
    rows = [[X1], [X2], [ADD, X1, X2]]
    return iteration(number, rows, rewards, kept=kept, statistics=STATISTICS)


def events(path):
    accumulator = EventAccumulator(str(path / "dso_task_0_summary"))
    accumulator.Reload()
    return accumulator


def scalars(accumulator, number):
    return {
        tag: event.value
        for tag in accumulator.Tags()["scalars"]
        for event in accumulator.Scalars(tag)
        if event.step == number
    }


def test_scalars_and_histograms_are_of_the_rows_learned_from(tmp_path):
    recorder = TensorBoard(folder(tmp_path), OneWeight())
    recorder.update(step(1))
    recorder.update(step(2, rewards=(1.0, 0.0, 0.0)))
    recorder.close()
    recorder.close()
    found = events(tmp_path)
    assert scalars(found, 1) == {
        "reward": 0.625,
        "baseline": 0.25,
        "total_loss": 3.0,
        "method_loss": 5.0,
        "entropy_loss": -2.0,
        "entropy": 4.0,
    }
    assert scalars(found, 2)["reward"] == 0.0
    assert sorted(found.Tags()["histograms"]) == ["lengths", "rewards"]
    lengths = found.Histograms("lengths")[0].histogram_value
    assert (lengths.min, lengths.max, lengths.num) == (1.0, 3.0, 2.0)


def test_parameters_and_gradients_are_added_on_demand(tmp_path):
    policy = OneWeight()
    recorder = TensorBoard(folder(tmp_path), policy, with_parameters=True)
    for direction in ([7.0, 0.0], [3.0, -4.0]):  # the last descent of an iteration counts
        torch.autograd.grad((policy.weight * torch.tensor(direction)).sum(), [policy.weight])
    recorder.update(step(1))
    recorder.update(step(2))
    recorder.close()
    found = events(tmp_path)
    assert scalars(found, 1)["gradient_norm"] == 5.0
    assert "gradient_norm" not in scalars(found, 2)  # nothing was descended
    assert {"parameters/weight", "parameters/frozen", "gradients/weight"} <= set(
        found.Tags()["histograms"]
    )
    gradient = found.Histograms("gradients/weight")[0].histogram_value
    assert (gradient.min, gradient.max) == (-4.0, 3.0)
    weight = found.Histograms("parameters/weight")[0].histogram_value
    assert (weight.min, weight.max, weight.sum) == (1.0, 2.0, 3.0)


def test_the_policy_is_left_without_hooks(tmp_path):
    policy = OneWeight()
    TensorBoard(folder(tmp_path), policy, with_parameters=True).close()
    assert not policy.weight._backward_hooks


def test_values_that_are_not_finite_do_not_end_the_run(tmp_path):
    policy = OneWeight()
    recorder = TensorBoard(folder(tmp_path), policy, with_parameters=True)
    (policy.weight * torch.tensor([torch.nan, 1.0])).sum().backward()
    recorder.update(step(1))
    recorder.close()
    gradient = events(tmp_path).Histograms("gradients/weight")[0].histogram_value
    assert gradient.num == 1.0


@pytest.mark.parametrize(("save_freq", "flushed"), [(None, [1, 2, 3]), (2, [2]), (0, [])])
def test_events_are_flushed_every_save_freq_iterations(tmp_path, monkeypatch, save_freq, flushed):
    done = []
    monkeypatch.setattr(SummaryWriter, "flush", lambda self: done.append(number))
    recorder = TensorBoard(folder(tmp_path), OneWeight(), save_freq=save_freq)
    for number in (1, 2, 3):
        recorder.update(step(number))
    assert done == flushed
    recorder.close()


def test_events_of_an_earlier_run_are_replaced(tmp_path):
    for number in (5, 1):
        recorder = TensorBoard(folder(tmp_path), OneWeight())
        recorder.update(step(number))
        recorder.close()
    assert [event.step for event in events(tmp_path).Scalars("reward")] == [1]


def test_without_tensorboard_one_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("dso.runs.recorders.tensorboard.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"save_summary.*\[tensorboard\]"):
        TensorBoard(folder(tmp_path), OneWeight())


def test_the_best_program_and_the_settings_are_there(tmp_path):
    texts = iter(["x1", "x1 + x2"])
    settings = {"training.epsilon": 0.05, "training.n_samples": 9, "policy.cell": "lstm", "x": [1]}
    recorder = TensorBoard(
        folder(tmp_path), OneWeight(), expression=lambda: next(texts), settings=settings
    )
    first, second = Standing(1, r_best=0.5, best_iteration=1), Standing(2, r_best=0.5)
    for standing in (first, replace(second, best_iteration=1), Standing(3, r_best=0.75)):
        recorder.update(replace(step(standing.iteration), standing=standing))
    recorder.finish(Standing(3, r_best=0.75))
    recorder.close()
    found = events(tmp_path)
    assert [event.value for event in found.Scalars("r_best")] == [0.5, 0.5, 0.75]
    shown = found.Tensors("expression/text_summary")
    assert [event.step for event in shown] == [1, 3]
    assert shown[-1].tensor_proto.string_val[0] == b"`x1 + x2`"
    plugins = found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"training.epsilon" in plugins
    assert b"policy.cell" in plugins
