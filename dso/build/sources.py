"""Everything that proposes programs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from dso.build.policy import make_prior_in_hole
from dso.build.scoring import (
    data_of,
    is_finished,
)
from dso.build.sizes import n_cores
from dso.config import Config
from dso.errors import UserError
from dso.evaluation import Evaluator
from dso.finishing import Finisher
from dso.gp import Breeder, GPController, GPOptions, Probe, SemanticBreeder, tokens_only
from dso.memory import Keeper, complexity_measure
from dso.part import Part
from dso.policy_optimizer import Learner
from dso.pretraining.weights import load_weights
from dso.prior import JointPrior
from dso.semantic import OnlyHole, Seeder, SemanticLimits
from dso.task import Task
from dso.training.sources import (
    Advising,
    Finishing,
    Given,
    GPMeld,
    PolicySource,
    Pretrained,
    Source,
    ValueSearch,
    Warmup,
)
from dso.training.stopping import Stopping

if TYPE_CHECKING:
    from dso.policy import Policy
    from dso.pretraining.advice import NetworkAdvice
    from dso.pretraining.model import PretrainedModel
    from dso.pretraining.proposer import Proposer
    from dso.program import ProgramBatch


EVALUATIONS_PER_PROGRAM = 800
"""Samples that take about as long as finishing one program."""


def make_sources(
    config: Config,
    task: Task,
    evaluator: Evaluator,
    learner: Learner,
    keeper: Keeper,
    stopping: Stopping,
    seed: int,
) -> list[Source]:
    """Build all sources of programs, in the order in which they are asked."""
    policy = learner.policy
    if config.task.to_dict().get("guesses"):
        refuse_forbidden(policy.prior, task)
    sources: list[Source] = [Given(evaluator, policy.prior, keeper, task.guesses)]
    if (seeder := make_seeder(config, task, policy.prior, evaluator, seed)) is not None:
        sources.append(ValueSearch(seeder, keeper, stopping, config.semantic.per_sample))
    if config.pretrained.on:
        sources += make_pretrained(config, task, policy, evaluator, keeper, stopping, seed)
    if config.training.warmup:
        sources.append(Warmup(policy.prior, stopping, config.training.warmup))
    sources.append(
        PolicySource(
            policy,
            evaluator,
            keeper,
            batch_size=config.training.batch_size,
            seed=seed,
            max_attempts=max_attempts(config),
            memory=learner.risk_filter.memory,
            warm_start=config.training.warm_start,
            is_fallback=config.training.n_samples == 0,
            is_over=lambda: stopping.is_over,
        )
    )
    if is_finished(config, task):
        sources.append(
            Finishing(
                make_finisher(config, task, policy.prior, keeper.complexity, seed),
                evaluator,
                keeper,
                stopping,
                n_per_iteration=n_finished(config),
                snap=config.finishing.snap,
            )
        )
    if (controller := make_gp(config, task, policy.prior, evaluator, seed)) is not None:
        sources.append(GPMeld(controller, keeper, stopping))
    return sources


def refuse_forbidden(prior: JointPrior, task: Task) -> None:
    """Refuse guesses of a user that break a prior."""
    guesses = task.guesses
    assert guesses is not None
    is_allowed = prior.may_be_shown(guesses)
    if is_allowed.all():
        return
    i = int(np.flatnonzero(~is_allowed)[0])
    broken = [name for name, is_broken in prior.violations(guesses).items() if is_broken[i]]
    said = zip(prior.priors, prior.descriptions, strict=True)
    lines = [line for one, line in said if type(one).__name__ in broken]
    text = " ".join(task.library.names[token] for token in guesses.row(i))
    raise UserError(
        f"task.guesses[{i}]: {text} (in prefix order) is forbidden. "
        f"{' '.join(lines) or 'It is longer than ' + str(prior.max_length) + ' tokens.'}"
    )


def max_attempts(config: Config) -> int | None:
    """Return the draws that a novel batch may take, None where batches need not be novel."""
    policy = config.policy
    return policy.max_attempts_at_novel_batch if policy.sample_novel_batch else None


def make_seeder(
    config: Config, task: Task, prior: JointPrior, evaluator: Evaluator, seed: int
) -> Seeder | None:
    """Build the search by values, if it is asked for."""
    section = config.semantic
    if not section.on:
        return None
    data_of(task, "semantic.on: true", "false")  # which the seeder asks for
    part = Part(section.part, section.n_parts)
    limits = SemanticLimits(
        max_entries=section.max_entries,
        max_bytes=section.max_bytes,
        max_lookups=part.share(section.max_lookups),
        max_vectors=part.share(section.max_vectors),
        max_evaluations=int(section.max_share * config.training.n_samples) * section.per_sample,
        max_seconds=np.inf if section.max_seconds is None else section.max_seconds,
        max_contexts=section.max_contexts,
        max_programs=section.max_programs,
    )
    if task.template is None:
        return Seeder(prior, evaluator, limits, seed, part=part)
    hole = only_hole(task)
    if hole is None:
        return None
    assert task.fit_data is not None
    in_hole = make_prior_in_hole(config, task, hole, hole.wanted(task.fit_data))
    return Seeder(in_hole, evaluator, limits, seed, hole, prior, part)


def only_hole(task: Task) -> OnlyHole | None:
    """Return the one hole of the task's template, if it can be solved for."""
    if task.template is None or task.fit_data is None:
        return None
    return OnlyHole.of(task.template, task.library, task.fit_data)


def make_pretrained(
    config: Config,
    task: Task,
    policy: Policy,
    evaluator: Evaluator,
    keeper: Keeper,
    stopping: Stopping,
    seed: int,
) -> list[Source]:
    """Build what asks a pre-trained network, which is built when it is first asked.

    Raises
    ------
    UserError
        If the task has no data, or the weights of a user's own cannot be read.
    """
    from dso.policy_optimizer.imitation import Imitation  # needs torch

    section = config.pretrained
    data_of(task, "pretrained.on: true", "false")  # which the network reads
    own = None if section.weights is None else load_weights(section.weights)

    @cache
    def model() -> PretrainedModel:
        from dso.pretraining.model import PretrainedModel

        return PretrainedModel.load() if own is None else PretrainedModel.of(own)

    def make_proposer() -> Proposer:
        from dso.pretraining.proposer import Proposer

        return Proposer(
            model(),
            policy.prior,
            evaluator,
            n_candidates=section.n_candidates,
            method=section.method,
            part=Part(section.part, section.n_parts),
            seed=seed,
            n_threads=n_cores(config),
        )

    def make_advice() -> NetworkAdvice:
        assert task.fit_data is not None
        return model().advice(task.fit_data, policy.prior, seed)

    n_steps = section.imitation_steps if config.training.n_samples else 0
    imitation = Imitation(policy, n_steps, section.imitation_rate)
    sources: list[Source] = [Pretrained(make_proposer, keeper, stopping, imitation)]
    if section.advice_weight:
        n = section.advice_iterations
        sources.append(Advising(policy, make_advice, keeper, section.advice_weight, n))
    return sources


def n_finished(config: Config) -> float:
    """Return how many programs may be finished in an iteration for their share of its time."""
    gp, size = config.gp_meld, config.training.batch_size
    n_offspring = gp.generations * (gp.population_size or size) if gp.run_gp_meld else 0
    return config.finishing.max_share * (size + n_offspring) / EVALUATIONS_PER_PROGRAM


def make_finisher(
    config: Config,
    task: Task,
    prior: JointPrior,
    complexity: Callable[[ProgramBatch], np.ndarray],
    seed: int,
) -> Finisher:
    """Build what finishes programs, on all rows of the data."""
    assert task.fit_data is not None
    params = config.training.const_params if config.training.const_optimizer == "lm" else {}
    return Finisher(
        task.fit_data,
        prior,
        complexity,
        bounds=params.get("bounds"),
        n_threads=n_cores(config),
        seed=seed,
    )


def make_gp(
    config: Config, task: Task, prior: JointPrior, evaluator: Evaluator, seed: int
) -> GPController | None:
    """Build GP-meld, if it is asked for."""
    section = config.gp_meld
    if not section.run_gp_meld:
        return None
    size = section.population_size or config.training.batch_size
    if section.n_islands > size:
        raise UserError(
            f"gp_meld.n_islands: {section.n_islands}; allowed: at most the population, "
            f"which with population_size null is training.batch_size = {size}."
        )
    # One generation would use up a budget that is smaller than the population.
    size = min(size, max(config.training.n_samples, section.train_n, section.n_islands))
    options = GPOptions(
        generations=section.generations,
        population_size=size,
        train_n=section.train_n,
        p_fit=section.p_fit,
        has_archive=section.p_archive > 0,
        keep_population=section.keep_population,
        n_islands=section.n_islands,
        migration_interval=section.migration_interval,
        n_migrants=section.n_migrants,
        restart_after=section.restart_after,
        verbose=section.verbose,
        parsimony=config.training.parsimony,
    )
    # Where the front of the run measures nothing, that of the search goes by the usual size.
    complexity = complexity_measure(config.training.complexity or "token", task.library)
    values = Probe.of_task(task, section.probe_size).values if section.probe_size else tokens_only
    breeder = make_breeder(config, task, prior, seed)
    return GPController(breeder, evaluator, values, complexity, seed=seed, options=options)


def make_breeder(
    config: Config, task: Task, prior: JointPrior, seed: int
) -> Breeder | SemanticBreeder:
    """Build what breeds, and solves for some of the offspring where that is asked for."""
    section = config.gp_meld
    breeder = Breeder(
        prior,
        p_crossover=section.p_crossover,
        p_mutate=section.p_mutate,
        p_join=section.p_join,
        p_perturb=section.p_perturb,
        p_archive=section.p_archive,
        tournament_size=section.tournament_size,
        mutate_tree_max=section.mutate_tree_max,
        n_attempts=section.n_attempts,
        n_threads=n_cores(config),
    )
    if not section.p_semantic:
        return breeder
    return SemanticBreeder(
        breeder,
        data_of(task, f"gp_meld.p_semantic: {section.p_semantic}", 0),
        p_semantic=section.p_semantic,
        max_entries=min(section.semantic_entries, config.training.n_samples),
        max_vectors=config.training.n_samples // 4,
        n_partners=section.semantic_partners,
        seed=seed,
    )
