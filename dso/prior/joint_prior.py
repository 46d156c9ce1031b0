"""All priors together."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from dso.errors import UserError
from dso.library import Library
from dso.native import _core
from dso.prior.length import LengthConstraint
from dso.prior.max_size import MaxSizeConstraint
from dso.prior.prior import Constraint, Prior
from dso.prior.python_prior import PythonPriors, is_python_prior
from dso.program.program_batch import ProgramBatch

logger = logging.getLogger("dso")


class JointPrior:
    """The merger of several priors under one length limit.

    Parameters
    ----------
    library : Library
    priors : sequence of Prior
    max_length : int
        The policy's own limit; a length prior's `max_` takes its place.
    skipped : sequence of str
        Why priors that were asked for are not among `priors`.

    Attributes
    ----------
    rules : RuleSet
        What the sampler walks.
    max_length : int
    descriptions : list of str
        One line per prior.
    python : PythonPriors
        Those that `rules` does not hold because they are called from Python.

    Raises
    ------
    UserError
        If no token may come first.
    """

    def __init__(
        self,
        library: Library,
        priors: Sequence[Prior],
        *,
        max_length: int,
        skipped: Sequence[str] = (),
    ) -> None:
        self.library = library
        self.priors = list(priors)
        self.skipped = list(skipped)
        self.descriptions = [_describe(prior) for prior in self.priors]
        self.python = PythonPriors(library, [p for p in self.priors if is_python_prior(p)])
        limits = [p.max for p in self.priors if isinstance(p, LengthConstraint) and p.max]
        self.max_length = min(limits, default=max_length)
        if self.max_length != max_length and limits:
            logger.info(
                "policy.max_length = %d gives way to the length prior's %d.",
                max_length,
                self.max_length,
            )
        for prior in self.priors:
            if isinstance(prior, LengthConstraint) and (prior.min or 0) > self.max_length:
                raise UserError(
                    f"prior.length.min_ = {prior.min} is greater than the longest program, "
                    f"{self.max_length} tokens; set prior.length.max_ or policy.max_length."
                )
        self.rules = _core.RuleSet(np.asarray(library.arities).tolist())
        self.rules.limit_length(1, self.max_length)
        self._compiled = [p for p in self.priors if not is_python_prior(p)]
        self._each = []
        for prior in self._compiled:
            prior.check(self.max_length)
            try:
                rules = prior.rules()
                # Not a limit of its own: what the length masks is not this prior's doing.
                rules.look_ahead_to(self.max_length)
                self.rules.merge(rules)
            except ValueError as error:
                raise UserError(f"prior: {type(prior).__name__}: {error}.") from None
            self._each.append(rules)
        self._all = self.rules
        if not self.rules.first_allowed().any():
            raise UserError(f"the priors leave no first token.\n{self._first_token_table()}")

    def limit_size(self, maximum: int | None) -> None:
        """Let the sampler write nothing larger for now; None lifts that again.

        What counts is complexity under a prior `max_size`, the number of tokens without one.
        """
        if maximum is None:
            self.rules = self._all
            return
        limited = _core.RuleSet(np.asarray(self.library.arities).tolist())
        if self.has_size_limit:
            MaxSizeConstraint(self.library, maximum).compile(limited)
        else:
            limited.limit_length(1, maximum)
        limited.merge(self._all)
        # A size that nothing can have yet does not limit anything.
        self.rules = limited if limited.first_allowed().any() else self._all

    @property
    def max_size(self) -> int:
        """Greatest size: see `limit_size` for what counts."""
        sizes = [p.max for p in self.priors if isinstance(p, MaxSizeConstraint)]
        return min(sizes, default=self.max_length)

    @property
    def has_size_limit(self) -> bool:
        """Whether a prior bounds the complexity."""
        return any(isinstance(prior, MaxSizeConstraint) for prior in self.priors)

    def _first_token_table(self) -> str:
        lines = []
        is_explained = np.zeros(self.library.L, dtype=bool)
        for prior, rules in zip(self._compiled, self._each, strict=True):
            is_masked = ~rules.first_allowed()
            is_explained |= is_masked
            if is_masked.any():
                names = prior.names(np.flatnonzero(is_masked))
                lines.append(f"  {type(prior).__name__} masks {names}")
        if not is_explained.all():
            rest = [self.library.names[token] for token in np.flatnonzero(~is_explained)]
            lines.append(f"  all limits together mask {', '.join(rest)}")
        return "\n".join(lines)

    def allowed(self, programs: ProgramBatch) -> np.ndarray:
        """Tell which complete programs the sampler could have written, (B,) bool."""
        obeys = self.rules.violations(programs.native) < 0
        return obeys & self.python.allowed(programs, self.rules) if self.python else obeys

    def may_be_shown(self, programs: ProgramBatch) -> np.ndarray:
        """Tell which programs belong among the answers, (B,) bool: those that are allowed.

        A program of one token is never written, but may be shown: whatever else is found is
        compared with it. Only the priors that say what every program has to hold bind it too.
        """
        is_single = programs.lengths == 1
        for prior, rules in zip(self._compiled, self._each, strict=True):
            if prior.binds_single_tokens:
                is_single &= rules.violations(programs.native) < 0
        return is_single | self.allowed(programs)

    def violations(self, programs: ProgramBatch) -> dict[str, np.ndarray]:
        """Tell which programs violate each constraint, looked at alone: name -> (B,) bool."""
        counted: dict[str, np.ndarray] = {}
        for prior, rules in zip(self._compiled, self._each, strict=True):
            if isinstance(prior, Constraint):
                name = type(prior).__name__
                violated = rules.violations(programs.native) >= 0
                counted[name] = counted.get(name, False) | violated
        for prior in self.python.priors:
            alone = PythonPriors(self.library, [prior])
            violated = ~alone.allowed(programs, self.rules)
            counted[type(prior).__name__] = counted.get(type(prior).__name__, False) | violated
        return counted

    def mask_counts(self, programs: ProgramBatch) -> dict[str, np.ndarray]:
        """Count how often each prior, looked at alone, masked each token: name -> (L,) int64.

        The last entry, ``all``, counts what all of them together masked.
        """
        native = programs.native
        parts = [
            (type(prior).__name__, rules.mask_counts(native))
            for prior, rules in zip(self._compiled, self._each, strict=True)
        ]
        together = self.rules.mask_counts(native)
        if self.python:
            masks = np.isneginf(self.python.rule_logits(programs, self.rules))  # (B, T, L)
            for prior in self.python.priors:
                alone = PythonPriors(self.library, [prior]).replay(programs, self.rules)
                parts.append((type(prior).__name__, np.isneginf(alone).sum(axis=(0, 1))))
                masks |= np.isneginf(alone)
            together = masks.sum(axis=(0, 1))
        counts: dict[str, np.ndarray] = {}
        for name, masked in parts:
            counts[name] = counts.get(name, 0) + masked
        return {**counts, "all": together}

    def masking_report(self, programs: ProgramBatch) -> str:
        """Return the table of what each prior masked on the way through given programs."""
        counts = self.mask_counts(programs)
        return masking_table(counts, int(programs.lengths.sum()), self.library.names)


def _describe(prior: Prior) -> str:
    describe = getattr(prior, "describe", None)
    return f"{type(prior).__name__}: a prior of one's own." if describe is None else describe()


def masking_table(counts: Mapping[str, np.ndarray], n_positions: int, names: Sequence[str]) -> str:
    """Lay out how often each prior masked each token, in percent of the positions.

    Parameters
    ----------
    counts : mapping
        What `JointPrior.mask_counts` returned, prior -> (L,).
    n_positions : int
        Tokens of all programs counted.
    names : sequence of str
        Of the L tokens.
    """
    width = max(map(len, counts))
    widths = [max(len(name), 4) for name in names]
    head = " ".join(name.rjust(w) for name, w in zip(names, widths, strict=True))
    lines = [f"{'masked, %':{width}} {head}"]
    for prior, masked in counts.items():
        shares = 100 * masked / max(n_positions, 1)
        cells = " ".join(f"{share:{w}.0f}" for share, w in zip(shares, widths, strict=True))
        lines.append(f"{prior:{width}} {cells}")
    return "\n".join(lines)
