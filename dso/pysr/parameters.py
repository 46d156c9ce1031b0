"""Every parameter of PySR's constructor (2.7), and what it corresponds to.

`PARAMETERS` is the one place that says so: the constructor, the warnings and the table in the
documentation are made from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["argument", "translated", "unneeded", "without effect", "refused"]
"""What becomes of a parameter.

"argument": `DeepSymbolicRegressor` has it under the same name. "translated": it is told in other
words. "unneeded": it is taken, and what it asks for is there without it. "without effect": a
warning names it where it is given. "refused": a value other than the default is an error.
"""


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes
    ----------
    name : str
    default
        PySR's; a parameter with this value counts as not given.
    kind : Kind
    note : str
        What it is here, or why it is nothing.
    """

    name: str
    default: Any
    kind: Kind
    note: str = ""


def _same(default: Any, *names: str) -> list[Parameter]:
    return [Parameter(name, default, "argument") for name in names]


def _idle(note: str, **defaults: Any) -> list[Parameter]:
    return [Parameter(name, value, "without effect", note) for name, value in defaults.items()]


_EVOLUTION = "belongs to PySR's evolution; here a network and genetic programming search"
_JULIA = "belongs to Julia, which is not used here"
_OBJECTS = "objects of PySR's evolution, which does not take place here"
_EXPORTED = "operators bring their own sympy, torch and jax forms"

_ROWS: list[Parameter] = [
    Parameter("model_selection", "best", "argument"),
    Parameter("binary_operators", None, "translated", "without any operators: `+ - * /`"),
    *_same(None, "unary_operators", "operators", "expression_spec"),
    Parameter("type_spec", None, "refused", "values are real numbers"),
    *_same(100, "niterations"),
    Parameter("populations", 31, "translated", "`gp_meld.n_islands`, which breed by themselves"),
    Parameter("population_size", 27, "translated", "`gp_meld.population_size`, for each of them"),
    *_same(None, "max_evals"),
    *_same(30, "maxsize"),
    *_same(None, "maxdepth", "warmup_maxsize_by", "timeout_in_seconds"),
    *_same(None, "constraints", "nested_constraints", "elementwise_loss", "loss_function"),
    Parameter(
        "loss_function_expression",
        None,
        "refused",
        "a function of a Julia expression; give `loss_function` a function of Python",
    ),
    *_same("log", "loss_scale"),
    *_same(None, "complexity_of_operators", "complexity_of_constants", "complexity_of_variables"),
    *_same(None, "complexity_mapping"),
    *_same(0.0, "parsimony"),
    *_same(None, "dimensional_constraint_penalty"),
    *_same(False, "dimensionless_constants_only"),
    *_idle(
        _EVOLUTION,
        use_frequency=True,
        use_frequency_in_tournament=True,
        adaptive_parsimony_scaling=1040.0,
        alpha=3.17,
        annealing=True,
    ),
    Parameter("early_stop_condition", None, "translated", "text becomes a function"),
    Parameter(
        "ncycles_per_iteration", 380, "translated", "`gp_meld.generations`, in proportion to 380"
    ),
    *_idle(
        _EVOLUTION,
        fraction_replaced=0.00036,
        fraction_replaced_hof=0.0614,
        fraction_replaced_guesses=0.001,
    ),
    *_idle(
        _EVOLUTION,
        **{
            f"weight_{what}": None
            for what in (
                *("add_node", "insert_node", "delete_node", "do_nothing", "mutate_constant"),
                *("mutate_operator", "mutate_feature", "swap_operands", "rotate_tree"),
                *("randomize", "simplify", "optimize", "backsolve"),
            )
        },
    ),
    Parameter("mutations", None, "refused", _OBJECTS),
    Parameter("default_mutations", None, "refused", _OBJECTS),
    Parameter("crossover_probability", 0.2, "translated", "`gp_meld.p_crossover`"),
    *_idle(_EVOLUTION, skip_mutation_failures=True),
    Parameter("migration", True, "translated", "False: `gp_meld.n_migrants` 0"),
    *_idle(_EVOLUTION, hof_migration=True, topn=12),
    *_idle("what is on the front is always simplified", should_simplify=True),
    *_idle(
        "constants are always fitted, by Levenberg-Marquardt steps with exact derivatives",
        should_optimize_constants=True,
        optimizer_algorithm="BFGS",
        optimizer_nrestarts=2,
        optimizer_f_calls_limit=None,
        optimize_probability=0.14,
        optimizer_iterations=8,
    ),
    *_idle(_EVOLUTION, perturbation_factor=0.129, probability_negate_constant=0.00743),
    Parameter("tournament_selection_n", 15, "translated", "`gp_meld.tournament_size`"),
    *_idle(_EVOLUTION, tournament_selection_p=0.982),
    Parameter("parallelism", None, "translated", '"serial": `n_jobs` 1; others: `procs` threads'),
    Parameter("procs", None, "translated", "`n_jobs`; None is all cores"),
    Parameter("cluster_manager", None, "refused", "a fit runs on one machine; `dso run` has Dask"),
    *_idle(_JULIA, heap_size_hint_in_bytes=None, worker_timeout=None, worker_imports=None),
    *_same("auto", "batching"),
    *_same(None, "batch_size"),
    *_idle(_JULIA, fast_cycle=False, turbo=False, bumper=False),
    Parameter("precision", 32, "unneeded", "all is computed in double precision, as with 64"),
    *_idle(_JULIA, autodiff_backend=None),
    *_same(None, "random_state"),
    Parameter("deterministic", False, "unneeded", "the same `random_state` gives the same result"),
    *_same(False, "warm_start"),
    *_same(None, "guesses"),
    *_same(1, "verbosity"),
    *_idle("the display is one line", update_verbosity=None),
    *_same(5, "print_precision"),
    *_same(True, "progress"),
    Parameter("logger_spec", None, "translated", "`logging.save_summary`, events of TensorBoard"),
    Parameter("plugins", None, "refused", _OBJECTS),
    Parameter("default_plugins", None, "refused", _OBJECTS),
    *_idle("`q` and Enter end a fit in a terminal", input_stream=None),
    *_idle(
        "the folder of a fit has a log of its iterations",
        use_tracing=False,
        tracing_file="pysr_trace.jsonl",
    ),
    *_same(None, "run_id"),
    Parameter("output_directory", None, "translated", 'None is "outputs", as in PySR'),
    Parameter("temp_equation_file", False, "translated", "True: no files are written"),
    *_idle("no temporary files are made", tempdir=None, delete_tempfiles=True),
    *_idle("there is nothing to update", update=False),
    Parameter("output_jax_format", False, "translated", "adds the column `jax_format`"),
    Parameter("output_torch_format", False, "translated", "adds the column `torch_format`"),
    Parameter("extra_sympy_mappings", None, "unneeded", _EXPORTED),
    Parameter("extra_torch_mappings", None, "unneeded", _EXPORTED),
    Parameter("extra_jax_mappings", None, "unneeded", _EXPORTED),
    *_same(False, "denoise"),
    *_same(None, "select_k_features"),
]

PARAMETERS: dict[str, Parameter] = {row.name: row for row in _ROWS}
"""By name, in PySR's order."""

FIT_PARAMETERS = (
    *("X", "y", "Xresampled", "weights", "variable_names", "complexity_of_variables"),
    *("X_units", "y_units"),
)
"""Of PySR's `fit`."""

OLD_NAMES = {
    "npop": "population_size",
    "npopulations": "populations",
    "ncyclesperiteration": "ncycles_per_iteration",
    "loss": "elementwise_loss",
    "full_objective": "loss_function",
    "warmupMaxsize": "warmup_maxsize_by",
    "multithreading": "parallelism",
}
"""Names of earlier versions that are not the present ones in camel case."""


def present_name(name: str) -> str:
    """Return the present name of a parameter: "fractionReplaced" was "fraction_replaced"."""
    if name in OLD_NAMES:
        return OLD_NAMES[name]
    return re.sub(r"(?<=[a-z])([A-Z])", lambda match: f"_{match[1].lower()}", name)
