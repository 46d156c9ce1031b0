"""Fitted constants: the speed of whole runs, and the fit compared with SciPy's.

Samples per CPU-second of one process with one thread on benchmarks with `const`, as
`benchmark_throughput.py` measures them. The polynomials that are fitted in a second in random
programs of 15 tokens on the 330 rows and 286 monomials of Poly-4. Then random Koza programs with 1
to 3 constants drawn from [0.5, 1.5], fitted to the values that they had with those constants ("own
targets"), and to a target that none of them can express; ours against `scipy.optimize.minimize`
(L-BFGS-B with numerical derivatives, gtol 1e-8), in the same run and both from ones.

    python scripts/benchmark_constants.py [--programs 2000]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from statistics import median

import numpy as np
from benchmark_throughput import measure_iterations
from benchmark_vm import KOZA, random_row
from scipy.optimize import minimize

from dso.library import Library, create_tokens
from dso.native import _core
from dso.program import ProgramBatch, execute, mean_squared_error
from dso.task.regression.regression import RegressionTask

N_ROWS = 100
SOLVED = 1e-12


def random_skeletons(
    library: Library, X: np.ndarray, n_programs: int, generator: np.random.Generator
) -> tuple[ProgramBatch, np.ndarray]:
    """Return valid programs with 1 to 3 constants, and the values (B, N) that they take."""
    found: list[ProgramBatch] = []
    while sum(map(len, found)) < n_programs:
        lengths = np.clip(generator.normal(15, 4, n_programs).round(), 3, 30).astype(int)
        drawn = ProgramBatch.from_rows([random_row(library, n, generator) for n in lengths])
        n_constants = (drawn.tokens == library.const_token).sum(axis=1)
        drawn = drawn[(n_constants >= 1) & (n_constants <= 3)]
        constants = generator.uniform(0.5, 1.5, (len(drawn), 3))
        drawn = ProgramBatch(drawn.tokens, drawn.lengths, constants)
        values, cause, _ = execute(library, drawn, X)
        drawn, values = drawn[cause == 0], values[cause == 0]
        found.append(drawn[(np.ptp(values, axis=1) > 1e-6) & (np.abs(values).max(axis=1) < 1e6)])
    programs = ProgramBatch.concatenate(found)[:n_programs]
    return programs, execute(library, programs, X).values


def ours(
    library: Library, programs: ProgramBatch, X: np.ndarray, y: np.ndarray, n_starts: int
) -> np.ndarray:
    """Return the normalised errors (B,) of the native fit, one call per target."""
    start = replace(programs, constants=np.ones_like(programs.constants))
    if y.ndim == 1:
        data = _core.Data(X, y)
        _, mse = _core.fit_constants(library.native, start.native, data, n_starts=n_starts)
        return mse / y.var()
    errors = np.empty(len(programs))
    for b, target in enumerate(y):
        row, data = start[b : b + 1].native, _core.Data(X, target)
        _, mse = _core.fit_constants(library.native, row, data, n_starts=n_starts)
        errors[b] = mse[0]
    return errors / y.var(axis=1)


def scipys(library: Library, programs: ProgramBatch, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the normalised errors (B,) that SciPy reaches."""
    nmse = np.empty(len(programs))
    counts = (programs.tokens == library.const_token).sum(axis=1)
    for b in range(len(programs)):
        row, target = programs[b : b + 1], y if y.ndim == 1 else y[b]
        variance = target.var()

        def error(
            constants: np.ndarray,
            row: ProgramBatch = row,
            target: np.ndarray = target,
            variance: float = variance,
        ) -> float:
            program = ProgramBatch(row.tokens, row.lengths, constants[None])
            mse = mean_squared_error(library, program, X, target).values[0]
            return mse / variance if np.isfinite(mse) else 1.0

        start = np.ones(counts[b])
        fit = minimize(error, start, method="L-BFGS-B", options={"gtol": 1e-8})
        program = ProgramBatch(row.tokens, row.lengths, fit.x[None])
        nmse[b] = mean_squared_error(library, program, X, target).values[0] / variance
    return nmse


def compare(n_programs: int) -> None:
    """Print how often each fit succeeds, and what it costs."""
    library = Library(create_tokens(2, [*KOZA, "const"]))
    generator = np.random.default_rng(0)
    X = generator.uniform(0, 1, (2, N_ROWS))
    programs, own = random_skeletons(library, X, n_programs, generator)
    foreign = np.sin(5 * X[0]) * np.exp(X[1]) + X[0] ** 3 + generator.normal(0, 0.1, N_ROWS)
    print(f"{n_programs} random Koza programs with 1-3 constants, {N_ROWS} rows, from ones")
    for name, y in (("own targets", own), ("one foreign target", foreign)):
        start = time.process_time()
        reference = scipys(library, programs, X, y)
        scipy_seconds = time.process_time() - start
        print(f"{name}: SciPy solves {np.mean(reference < SOLVED):.1%}, {scipy_seconds:.1f} CPU-s")
        for n_starts in (1, 3):
            start = time.process_time()
            reached = ours(library, programs, X, y, n_starts)
            seconds = time.process_time() - start
            # An invalid program is as bad as can be.
            reached, other = (np.where(np.isfinite(e), e, 1e300) for e in (reached, reference))
            print(
                f"  {n_starts} start(s): solves {np.mean(reached < SOLVED):.1%}, not worse within "
                f"1e-6 {np.mean(reached <= other + 1e-6):.1%} (relative "
                f"{np.mean(reached <= other * (1 + 1e-6) + 1e-15):.1%}), {seconds:.3f} CPU-s, "
                f"{1e6 * seconds / n_programs:.1f} us per program, "
                f"{scipy_seconds / seconds:.0f} times as fast"
            )


def rate_of_polynomials(n_programs: int) -> None:
    """Print how many programs with one `poly` are fitted and rewarded in a second on Poly-4."""
    task = RegressionTask(dataset="Poly-4")
    library, generator = task.library, np.random.default_rng(0)
    is_poly = np.arange(library.L) == library.poly_token
    found: list[list[int]] = []
    while len(found) < n_programs:
        row = random_row(library, 15, generator)
        if is_poly[row].sum() == 1:
            found.append(row)
    task.rewards(ProgramBatch.from_rows(found[:1]))  # makes the basis
    start = time.process_time()
    task.rewards(ProgramBatch.from_rows(found))
    seconds = time.process_time() - start
    print(f"Poly-4: {n_programs / seconds:.0f} polynomials fitted per CPU-second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=2000)
    parser.add_argument("--benchmarks", nargs="*", default=["Constant-1", "Constant-8"])
    arguments = parser.parse_args()
    for benchmark in arguments.benchmarks:
        rates, new, *_ = measure_iterations(benchmark)
        print(
            f"{benchmark}: {median(rates):.0f} samples per CPU-second "
            f"({min(rates):.0f}-{max(rates):.0f}), {new:.0%} of the programs new"
        )
    rate_of_polynomials(arguments.programs)
    compare(arguments.programs)


if __name__ == "__main__":
    main()
