"""ControlTask: the reward of a program is its return as the policy of an environment."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dso.errors import UserError
from dso.pacing import IsOver
from dso.program import Program, ProgramBatch
from dso.program.execute import VALID
from dso.streams import Stream
from dso.task.control.action_spec import (
    AUTO,
    ActionSpec,
    learned_action,
    make_composition,
    make_library,
    read_start,
)
from dso.task.control.anchor import make_anchor, shipped_anchor
from dso.task.control.behaviour import Behaviours
from dso.task.control.classic import ClassicBackend
from dso.task.control.composition import LEARNED, Policies
from dso.task.control.environment import Environment
from dso.task.control.episode_fitter import EpisodeFitter
from dso.task.control.observations import observation_names as names_of
from dso.task.control.racing import Racing
from dso.task.control.refine import refined
from dso.task.control.rollout import Rollouts
from dso.task.control.symbolic_policy import ActionSpace, SymbolicPolicy
from dso.task.task import HierarchicalTask, Rewards

logger = logging.getLogger("dso")

FIRST_TRAINING_SEED = 1_000_000
"""Seeds below are those of the test episodes."""
SEEDS_PER_SHIFT = 100
FIRST_FRESH_SEED = 2_000_000_000
FIRST_VALIDATION_SEED = 4_000_000_000
"""To the end of 32 bits, which is as far as an environment's own seeds may go."""

NOTHING = ProgramBatch.from_rows([[0]])
"""In place of the learned program where a policy has none."""

N_IN_TABLES = 10
"""Test episodes of each row of hall of fame and front where episodes are costly."""
USUAL_ROUNDS = 40
MIN_TO_RACE = 4
"""Training episodes from which racing is worth it."""

REWARD_SCALES: dict[str, tuple[float, float]] = {
    "dso/CartPoleContinuous-v0": (0.0, 1000.0),
    "MountainCarContinuous-v0": (0.0, 93.95),
    "Pendulum-v1": (-1300.0, -147.56),
    "InvertedDoublePendulum-v5": (0.0, 9357.77),
    "InvertedDoublePendulumBulletEnv-v0": (0.0, 9357.77),
    "InvertedPendulumSwingupBulletEnv-v0": (0.0, 891.34),
    "LunarLanderContinuous-v3": (0.0, 272.65),
    "HopperBulletEnv-v0": (0.0, 2741.86),
    "ReacherBulletEnv-v0": (-5.0, 19.05),
    "BipedalWalker-v3": (-60.0, 312.0),
}
"""Returns that become the rewards 0 and 1."""


class ControlTask(HierarchicalTask):
    """Find a policy for an environment.

    Parameters
    ----------
    env, env_kwargs : str, dict
        See `Environment`.
    observation_names : sequence of str, optional
        Shown in place of x1, x2, ...; None takes the names that are known.
    action_spec : sequence, optional
        Per action: None to learn it, ``"anchor"``, or the tokens of a fixed expression.
    stages : dict, optional
        Read by `dso.launch.stages`, which does ``"auto"``.
    start : sequence, optional
        Expressions of the learned action, as tokens, that join the first batch.
    algorithm, anchor : str, optional
        See `dso.task.control.anchor.make_anchor`.
    n_episodes_train, n_episodes_test : int
        Episodes per reward, and of `evaluate`.
    n_episodes_validation, n_validated : int
        The best `n_validated` programs of a run are ranked again by this many other episodes;
        0 episodes: they are not.
    success_score : float, optional
        Return from which an episode is a success; None is what the environment says.
    function_set : sequence of str or float, optional
        Tokens besides the observations, where actions are numbers.
    protected : bool
        Whether operators are replaced by variants that are defined everywhere.
    fix_seeds, episode_seed_shift : bool, int
        Whether every reward is of the same episodes, and which. Otherwise each batch meets new
        ones, the same for all its programs.
    reward_scale : bool or (float, float), optional
        The returns that become 0 and 1; True takes those of `REWARD_SCALES`.
    decision_tree_threshold_set : sequence, optional
        Thresholds of StateChecker tokens.
    ref_action : float or sequence of float, optional
        What the components of a multi-discrete action are where a tree does not set them.
    racing : bool or "auto"
        See `Racing`. ``"auto"`` races where there are at least `MIN_TO_RACE` training episodes.
    refine_rounds : int, optional
        Rounds of local search over the numbers of the best program, once a run ends. None is
        `USUAL_ROUNDS` where a native loop plays the episodes, 0 elsewhere.
    """

    def __init__(
        self,
        *,
        env: str,
        env_kwargs: dict[str, Any] | None = None,
        observation_names: Sequence[str] | None = None,
        action_spec: ActionSpec | Literal["auto"] = None,
        stages: dict[str, Any] | None = None,
        start: Sequence[str | Sequence[str | float]] | None = None,
        algorithm: str | None = None,
        anchor: object = None,
        n_episodes_train: int = 25,
        n_episodes_test: int = 1000,
        n_episodes_validation: int = 200,
        n_validated: int = 50,
        success_score: float | None = None,
        function_set: Sequence[str | float] | None = None,
        protected: bool = False,
        fix_seeds: bool = True,
        episode_seed_shift: int = 0,
        reward_scale: bool | Sequence[float] | None = True,
        decision_tree_threshold_set: Sequence[Any] | None = None,
        ref_action: float | Sequence[float] | None = None,
        racing: bool | Literal["auto"] = "auto",
        refine_rounds: int | None = None,
    ) -> None:
        self.environment = environment = Environment(env, env_kwargs)
        if action_spec == AUTO:
            action_spec = spec_of_all(environment, anchor)
        self.library = make_library(
            environment,
            function_set,
            protected,
            decision_tree_threshold_set,
            ref_action,
            names_of(environment, observation_names),
        )
        needs_anchor = any(isinstance(e, str) and e == "anchor" for e in action_spec or ())
        self.anchor = make_anchor(environment, anchor, algorithm) if needs_anchor else None
        self.composition = make_composition(environment, self.library, action_spec, self.anchor)
        self.learns = LEARNED in self.composition.sources
        learned = f"_a{learned_action(action_spec)}" if self.learns else ""
        self.name = f"{env}{learned}".replace("/", "_")
        self.guesses = read_start(start, self.library) if start else None
        self.protected = protected
        self._test_returns: np.ndarray | None = None
        self.n_episodes_train = n_episodes_train
        self.n_episodes_test = n_episodes_test
        self.n_episodes_validation = n_episodes_validation
        self.n_candidates = n_validated if n_episodes_validation else 0
        self.success_score = (
            environment.reward_threshold if success_score is None else success_score
        )
        self.stochastic = not fix_seeds
        self.episode_seed_shift = episode_seed_shift
        self.reward_scale = _scale(reward_scale, environment.recipe.id)
        self._is_costly = ClassicBackend.make(environment) is None
        races = n_episodes_train >= MIN_TO_RACE if racing == "auto" else racing
        self.racing = Racing() if races else None
        self.behaviours = Behaviours()
        usual = 0 if self._is_costly else USUAL_ROUNDS
        self.refine_rounds = usual if refine_rounds is None else refine_rounds
        self.rollouts = Rollouts(environment)
        self._n_fresh_batches = 0

    def make_fitter(self) -> EpisodeFitter:
        """Return what draws numbers for `const` and tries them in episodes."""
        return EpisodeFitter(self)

    def policies(self, programs: ProgramBatch) -> Policies:
        """Return programs of `library` as policies of the environment."""
        return Policies(programs, self.composition)

    def whole(self, action_spec: ActionSpec) -> Policies:
        """Return the policy that an `action_spec` without an action to learn describes."""
        composition = make_composition(self.environment, self.library, action_spec, self.anchor)
        return Policies(NOTHING, composition)

    def policy(self, program: Program) -> SymbolicPolicy:
        """Return a program as a policy to act with, to save and to show."""
        return self.symbolic(self.policies_of(program))

    def symbolic(self, policy: Policies) -> SymbolicPolicy:
        """Return one row as a policy to act with, to save and to show."""
        space = ActionSpace.of(self.environment)
        return SymbolicPolicy(policy, space, self.environment.recipe.id)

    def play(self, policies: Policies, seeds: Sequence[int]) -> np.ndarray:
        """Return what each policy gets in the episode of each seed, (P, E)."""
        return self.rollouts(policies, seeds, self.n_threads)

    def returns(self, programs: ProgramBatch, seeds: Sequence[int]) -> np.ndarray:
        """Return what each program gets in the episode of each seed, (B, E)."""
        return self.play(self.policies(programs), seeds)

    def rewards(self, programs: ProgramBatch) -> Rewards:
        """Reward a batch of B programs; none is invalid."""
        return self.rewards_in_time(programs, None)

    def rewards_in_time(self, programs: ProgramBatch, is_over: IsOver | None) -> Rewards:
        """Reward the first of a batch; see `Task`."""
        values = self._scaled_means(self.policies(programs), is_over)
        is_missing = np.isnan(values)
        n = int(np.argmax(is_missing)) if is_missing.any() else len(values)
        values = values[:n]
        return Rewards(values, np.full(n, VALID, np.uint8), np.full(n, -1, np.int32))

    def reward_function(self, program: Program, optimizing: bool = False) -> float:
        """Return the reward of one program."""
        return float(self._scaled_means(self.policies_of(program))[0])

    def _scaled_means(self, policies: Policies, is_over: IsOver | None = None) -> np.ndarray:
        """Return the mean returns (P,) in the training episodes, scaled; NaN for want of time."""
        seeds = self._training_seeds()

        def play(rows: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
            return self.rollouts(policies[rows], seeds, self.n_threads, is_over)

        if self.racing is None:
            return self.scaled(play(np.arange(len(policies)), seeds).mean(axis=1))
        if self.stochastic:
            self.behaviours = Behaviours()  # other episodes, other returns
        means = self.behaviours.mean_returns(self.racing, play, len(policies), seeds)
        return self.scaled(means)

    def scaled(self, returns: np.ndarray) -> np.ndarray:
        """Return returns as rewards."""
        low, high = self.reward_scale
        return (returns - low) / (high - low)

    def evaluate(self, program: Program) -> dict[str, Any]:
        """Judge a program by the test episodes, of seeds 0, 1, 2, ...

        Returns
        -------
        dict
            ``r_avg_test``, the mean return, unscaled; ``success_rate``, the share of episodes whose
            return is at least the success score; ``success``, whether all of them are.
        """
        return self.tested(self.policies_of(program))

    def evaluate_row(self, program: Program) -> dict[str, Any]:
        """Judge a row of a table: by ten test episodes at most where no native loop plays them."""
        if not self._is_costly or self.n_episodes_test <= N_IN_TABLES:
            return self.evaluate(program)
        fewer = copy.copy(self)  # so that an `evaluate` of a derived class is asked, too
        fewer.n_episodes_test = N_IN_TABLES
        return fewer.evaluate(program)

    def tested(self, policy: Policies) -> dict[str, Any]:
        """Judge one row as `evaluate` does a program."""
        returns = self.play(policy, range(self.n_episodes_test))[0]
        self._test_returns = returns
        score = np.inf if self.success_score is None else self.success_score
        is_success = returns >= score
        return {
            "r_avg_test": float(returns.mean()),
            "success_rate": float(is_success.mean()),
            "success": bool(is_success.all()),
        }

    def policies_of(self, program: Program) -> Policies:
        """Return one program, perhaps of a library with other numbers, as a policy."""
        return self.policies(program.batch).of_library(program.library)

    def final_choice(self, programs: Sequence[Program], is_over: IsOver | None = None) -> Program:
        """Return the program that does best in the validation episodes, its numbers refined.

        Ten training episodes favour the lucky; these are others, the same for all programs.
        """
        batch = ProgramBatch.concatenate([program.batch for program in programs])

        def validate(policies: Policies) -> np.ndarray:
            return self.rollouts(policies, self.validation_seeds, self.n_threads, is_over)

        best = programs[int(np.nanargmax(validate(self.policies(batch)).mean(axis=1)))]
        if not self.refine_rounds:
            return best
        return refined(best, validate, self.policies_of(best), self.refine_rounds)

    def write_result(self, program: Program, file: Callable[[str], Path]) -> None:
        """Write the policy, see `SymbolicPolicy.load`, and the returns of its test episodes."""
        self.write_policy(self.policy(program), file)

    def write_policy(self, policy: SymbolicPolicy, file: Callable[[str], Path]) -> None:
        """Write a policy where it belongs, or say why it cannot be.

        Its returns are those of the latest test.
        """
        if self._test_returns is not None:
            rows = [f"{i},{one!r}" for i, one in enumerate(self._test_returns.tolist())]
            text = "\n".join(["seed,return", *rows]) + "\n"
            file("_returns.csv").write_text(text, encoding="utf-8")
        try:
            policy.save(file("_policy.json"))
        except UserError as error:
            logger.warning("no policy is written: %s", error)

    @property
    def validation_seeds(self) -> range:
        """Seeds of episodes that are neither for training nor for the test."""
        return range(FIRST_VALIDATION_SEED, FIRST_VALIDATION_SEED + self.n_episodes_validation)

    @property
    def fitting_seeds(self) -> list[int]:
        """Seeds of the episodes that numbers are tried in."""
        return self._fixed_seeds()

    def state_dict(self) -> dict[str, Any]:
        """Return what a run changes."""
        racing = None if self.racing is None else self.racing.state_dict()
        return {
            "n_fresh_batches": self._n_fresh_batches,
            "racing": racing,
            "behaviours": self.behaviours.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._n_fresh_batches = state["n_fresh_batches"]
        self.behaviours.load_state_dict(state["behaviours"])
        if self.racing is not None:
            self.racing.load_state_dict(state["racing"])

    def _training_seeds(self) -> list[int]:
        if not self.stochastic:
            return self._fixed_seeds()
        stream = Stream(self.episode_seed_shift, "episodes", self._n_fresh_batches)
        self._n_fresh_batches += 1
        bounds = (FIRST_FRESH_SEED, FIRST_VALIDATION_SEED)
        return stream.generator().integers(*bounds, self.n_episodes_train).tolist()

    def _fixed_seeds(self) -> list[int]:
        first = FIRST_TRAINING_SEED + SEEDS_PER_SHIFT * self.episode_seed_shift
        return list(range(first, first + self.n_episodes_train))


def spec_of_all(environment: Environment, anchor: object) -> ActionSpec:
    """Return the spec that a run of all actions begins with: the anchor's, where one is needed."""
    n = environment.n_actions
    has_anchor = anchor is not None or shipped_anchor(environment.recipe.id) is not None
    is_one = environment.kind != "box" or n == 1
    return [None] * n if is_one and not has_anchor else ["anchor"] * n


def _scale(given: bool | Sequence[float] | None, env_id: str) -> tuple[float, float]:
    """Return the returns that become the rewards 0 and 1."""
    if given is True:
        if env_id in REWARD_SCALES:
            return REWARD_SCALES[env_id]
        logger.info("task.reward_scale: no scale is known for %s; rewards are raw returns.", env_id)
    if isinstance(given, Sequence):
        return float(given[0]), float(given[1])
    return 0.0, 1.0
