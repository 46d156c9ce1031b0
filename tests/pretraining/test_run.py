"""The network as a part of a run: what it proposes counts, joins, and is judged like the rest."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dso import DeepSymbolicOptimizer, DeepSymbolicRegressor
from dso.errors import UserError
from dso.islands import Archipelago, one_by_one
from dso.policy_optimizer.imitation import Imitation
from dso.pretraining.network import Network
from dso.pretraining.vocabulary import Vocabulary
from dso.pretraining.weights import as_files
from dso.program import ProgramBatch
from tests.support.function_sets import KOZA
from tests.support.pretraining import TINY
from tests.support.runs import config, read
from tests.support.scored import scored_batch

X = np.random.default_rng(0).uniform(0.5, 3, (40, 2))
Y = 1.7 * X[:, 0] * np.sin(X[:, 1]) + 0.8 * X[:, 1]
COLUMN = "n_candidates"


@pytest.fixture(scope="module")
def weights(
    tmp_path_factory: pytest.TempPathFactory, network: Network, vocabulary: Vocabulary
) -> str:
    """Write the untrained network, which proposes almost anything."""
    about = {
        "inputs": vocabulary.n_inputs,
        "functions": list(vocabulary.functions),
        "architecture": TINY.as_dict(),
    }
    arrays = {name: array.numpy() for name, array in network.state_dict().items()}
    content, text = as_files(arrays, about)
    stem = tmp_path_factory.mktemp("weights") / "tiny"
    stem.with_suffix(".npz").write_bytes(content)
    stem.with_suffix(".json").write_bytes(text)
    return str(stem)


def model(weights: str, path: Path | None = None, **sections: Any) -> DeepSymbolicOptimizer:
    """Return a model whose first iteration asks the network for 30 candidates."""
    pretrained = {"on": True, "weights": weights, "n_candidates": 30}
    pretrained |= sections.pop("pretrained", {})
    task = {"dataset": (X, Y), "function_set": [*KOZA, "const"], **sections.pop("task", {})}
    return DeepSymbolicOptimizer(config(path, task=task, pretrained=pretrained, **sections))


def test_candidates_join_the_first_batch_and_what_a_run_keeps(weights: str) -> None:
    made = model(
        weights,
        policy_optimizer={"policy_optimizer_type": "pqt", "pqt_k": 5},
        gp_meld={"run_gp_meld": True, "generations": 1, "population_size": 60},
        training={"n_samples": 10_000, "batch_size": 50},
    )
    made.train_one_step()
    found = made.last.proposals["pretrained"]
    n = len(found.batch)
    assert found.columns == {COLUMN: n}
    assert 10 < n <= 30 < found.n_evaluations
    assert not found.batch.on_policy.any()
    assert made.prior.allowed(found.batch.programs).all()
    np.testing.assert_array_equal(made.last.batch.rewards[50 : 50 + n], found.batch.rewards)
    keeper = made.trainer.keeper
    best = found.batch.rewards.max()
    assert best > 0.1
    assert keeper.hall_of_fame.rows.rewards[0] >= best
    assert keeper.pareto_front.rows.rewards.max() >= best
    keys = set(made.trainer.sources["gp"].controller.population.programs.keys().tolist())
    assert keys & set(found.batch.programs.keys().tolist())
    made.train_one_step()
    assert made.last.proposals["pretrained"].batch is None
    assert made.last.row[COLUMN] == 0


def test_a_task_that_is_solved_does_not_ask(weights: str) -> None:
    made = model(
        weights,
        task={"dataset": (X, X[:, 0] * X[:, 1]), "function_set": KOZA},
        semantic={"on": True, "max_entries": 3000},
        training={"n_samples": 1_000_000},
    )
    assert made.train()["success"]
    assert made.last.proposals["pretrained"].batch is None


def test_without_samples_it_is_a_solver_of_its_own(tmp_path: Path, weights: str) -> None:
    made = model(weights, tmp_path, training={"n_samples": 0}, gp_meld={"run_gp_meld": True})
    result = made.train()
    found = made.last.proposals["pretrained"]
    assert len(made.last.batch) == len(found.batch) == made.last.row[COLUMN]
    assert result["n_samples"] == found.n_evaluations
    assert result["r"] in found.batch.rewards
    assert made.trainer.standing.r_best == found.batch.rewards.max()
    assert made.stop_reason == "n_samples = 0 are spent"
    # Nobody draws from a policy that would take time to imitate.
    assert made.trainer.sources["pretrained"].imitation.n_steps == 0
    (row,) = read(next((tmp_path / "run").glob("dso_*_0.csv")))
    assert row[COLUMN] == str(len(found.batch))


def test_a_template_does_not_stop_the_network(weights: str) -> None:
    made = model(weights, task={"template": {"combine": "sin(f(x1, x2)) + g(x2)",
                                             "expressions": ["f", "g"]}},
                 training={"n_samples": 0})  # fmt: skip
    made.train()
    assert len(made.last.proposals["pretrained"].batch) > 10


def test_the_network_keeps_to_the_budget(weights: str) -> None:
    made = model(weights, training={"n_samples": 20, "batch_size": 10})
    made.train_one_step()
    assert 0 < made.last.proposals["pretrained"].n_evaluations <= 20
    late = model(weights, training={"n_samples": 20, "batch_size": 10, "max_seconds": 1e-9})
    late.train_one_step()
    assert late.last.proposals["pretrained"].batch is None


@pytest.mark.parametrize("method", ["beam", "sample"])
def test_islands_ask_for_parts_of_it(weights: str, method: str) -> None:
    """Without samples the candidates are the result, with several islands too."""
    pretrained = {"on": True, "weights": weights, "n_candidates": 30, "method": method}
    given = config(
        task={"dataset": (X, Y), "function_set": [*KOZA, "const"]},
        pretrained=pretrained,
        training={"n_samples": 0},
        islands={"n": 3},
    )
    together = Archipelago(given, engine=one_by_one)
    result = together.train()
    assert [island.standing.n_samples > 0 for island in together.islands] == [True] * 3
    if method == "beam":  # the islands share out what one would have asked for
        alone = model(weights, training={"n_samples": 0}).train()
        assert result["n_samples"] == alone["n_samples"]
        assert result["r"] == alone["r"]


def test_where_nothing_can_be_proposed_the_policy_draws(weights: str) -> None:
    made = model(weights, task={"function_set": ["harmonic"]}, training={"n_samples": 0},
                 prior={"length": {"on": True, "min_": 2, "max_": 9}})  # fmt: skip
    made.train()
    assert len(made.last.proposals["pretrained"].batch) == 0
    assert len(made.last.batch) == 100


def test_results_do_not_depend_on_threads(weights: str) -> None:
    batches = []
    for n in (1, 2):
        made = model(weights, training={"n_samples": 0, "n_cores_batch": n})
        made.train()
        batches.append(made.last.batch)
    np.testing.assert_array_equal(batches[0].programs.tokens, batches[1].programs.tokens)
    np.testing.assert_array_equal(batches[0].programs.constants, batches[1].programs.constants)
    np.testing.assert_array_equal(batches[0].rewards, batches[1].rewards)


def test_what_cannot_be_is_said_before_the_run(tmp_path: Path, weights: str) -> None:
    with pytest.raises(UserError, match=r"pretrained\.weights: .*none\.json: No such file"):
        model(str(tmp_path / "none")).setup()
    with pytest.raises(UserError, match=r"n_samples is 0, for which pretrained\.on must be"):
        model(weights, pretrained={"on": False}, training={"n_samples": 0}).setup()
    with pytest.raises(UserError, match=r"pretrained\.on: true; the task .* has no data"):
        DeepSymbolicOptimizer(
            {
                "task": {"task_type": "control", "env": "Pendulum-v1"},
                "pretrained": {"on": True},
                "experiment": {"logdir": None},
            }
        ).setup()


def test_inputs_that_are_left_out_are_named(weights: str, caplog: pytest.LogCaptureFixture) -> None:
    wide = np.random.default_rng(1).uniform(1, 2, (60, 5))
    made = model(weights, task={"dataset": (wide, wide[:, 4] * wide[:, 1])},
                 training={"n_samples": 0})  # fmt: skip
    with caplog.at_level("INFO", logger="dso"):
        made.train()
    assert [line for line in caplog.messages if "reads 3 inputs; of 5" in line]


def test_imitation_makes_good_programs_likely() -> None:
    made = DeepSymbolicOptimizer(config(task={"dataset": (X, Y), "function_set": KOZA}))
    made.setup()
    policy, names = made.policy, made.library.names
    rows = [[names.index(n) for n in text.split()] for text in ("mul x1 sin x2", "add x1 x2")]
    batch = scored_batch(rows, [0.9, 0.1])

    def log_probs() -> np.ndarray:
        replay = policy.replay(ProgramBatch.from_rows(rows))
        with torch.no_grad():
            return policy.log_prob_and_entropy(replay)[0].sum(dim=1).numpy()

    before = log_probs()
    Imitation(policy, 0, 0.01).learn(batch)
    np.testing.assert_array_equal(log_probs(), before)
    Imitation(policy, 20, 0.01).learn(batch)
    after = log_probs()
    assert after[0] > before[0] + 1
    # What is invalid or not allowed is not imitated.
    state = log_probs()
    Imitation(policy, 5, 0.01).learn(scored_batch(rows, [0.9, 0.1], cause=np.array([1, 1])))
    np.testing.assert_array_equal(log_probs(), state)


def test_imitation_is_done_before_the_first_draw(weights: str) -> None:
    drawn = []
    for n_steps in (0, 30):
        made = model(weights, pretrained={"imitation_steps": n_steps})
        made.train_one_step()
        drawn.append(made.last.proposals["policy"].batch.programs.keys())
    assert not np.array_equal(np.sort(drawn[0]), np.sort(drawn[1]))


def test_advice_ends_and_a_resumed_run_has_as_much_of_it(tmp_path: Path, weights: str) -> None:
    sections = {"pretrained": {"advice_weight": 2.0, "advice_iterations": 3},
                "training": {"n_samples": 10_000, "batch_size": 50}}  # fmt: skip
    whole = model(weights, **sections)
    held = []
    for _ in range(5):
        whole.train_one_step()
        advice = whole.policy.advice
        held.append(0.0 if advice is None else advice.weight)
    np.testing.assert_allclose(held, [2, 4 / 3, 2 / 3, 0, 0])
    plain = model(weights, training=sections["training"])
    plain.train_one_step()
    first = plain.last.proposals["policy"].batch.programs
    half = model(weights, **sections)
    half.train_one_step()
    assert not np.array_equal(half.last.proposals["policy"].batch.programs.keys(), first.keys())
    half.save(tmp_path / "half")
    later = model(weights, **sections)
    later.load(tmp_path / "half")
    for _ in range(4):
        later.train_one_step()
    np.testing.assert_array_equal(later.last.batch.rewards, whole.last.batch.rewards)


def test_the_estimator_takes_it(weights: str) -> None:
    fitted = DeepSymbolicRegressor(
        pretrained=weights, n_samples=0, random_state=0, verbosity=0, progress=False
    ).fit(X, Y)
    # The network proposes, and what it proposes is finished: that may be the end already.
    assert fitted.stop_reason_ in ("n_samples = 0 are spent", "the best program is a success")
    assert fitted.n_evaluations_ > 128
    assert len(fitted.equations_) > 2
    again = DeepSymbolicRegressor(
        pretrained=weights, n_samples=0, random_state=0, verbosity=0, progress=False, n_jobs=2
    ).fit(X, Y)
    assert list(again.equations_["equation"]) == list(fitted.equations_["equation"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pretrained": 3}, "pretrained: 3; expected true, false or the path"),
        ({"pretrained": "no/such"}, r"no/such\.json: No such file"),
        ({"n_samples": 0}, "n_samples: 0; expected a whole number >= 1"),
        ({"pretrained": True, "max_evals": 0}, "max_evals: 0; expected a whole number >= 1"),
    ],
)
def test_the_estimator_says_what_cannot_be(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        DeepSymbolicRegressor(verbosity=0, **arguments).fit(X, Y)
