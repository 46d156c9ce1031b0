"""The task section: regression, control, or a task of the user's own."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from dso.config.base import (
    WHOLE,
    Count,
    CountOrZero,
    Int,
    Noise,
    NonNegative,
    PathText,
    Positive,
    Reference,
    Section,
    Size,
    Text,
    key,
)
from dso.errors import unknown
from dso.plugins import is_reference

METRIC_PARAMETERS = {
    "neg_mse": 0,
    "neg_rmse": 0,
    "neg_nmse": 0,
    "neg_nrmse": 0,
    "neglog_mse": 0,
    "inv_mse": 1,
    "inv_nmse": 1,
    "inv_nrmse": 1,
    "fraction": 2,
    "pearson": 0,
    "spearman": 0,
}
"""Names of the metrics and how many parameters each takes."""

SELECTIONS = ("parsimony", "mdl", "one_se", "validated", "bic", "best", "score", "accuracy")
"""Rules that choose a program of the Pareto front, the default for rows of data first."""

REGRESSOR_DEFAULTS: dict[str, dict] = {
    "dso_least_squares": {"cutoff_p_value": 1.0, "n_max_terms": None, "coef_tol": 1e-6},
    "dso_lasso": {"gamma": 0.1, "comp_tol": 1e-4, "rtrn_constrnd_ls": True},
    "linear_regression": {},
    "lasso": {},
    "ridge": {},
}
"""Regressors of the `poly` token; the parameters of each belong to it alone."""


def _metric(name: str) -> str:
    if name not in METRIC_PARAMETERS and not is_reference(name):
        raise unknown("metric", name, METRIC_PARAMETERS)
    return name


Metric = Annotated[
    str,
    AfterValidator(_metric),
    WithJsonSchema({"anyOf": [{"enum": list(METRIC_PARAMETERS)}, {"pattern": ":"}]}),
]


def _token(item: object) -> object:
    if isinstance(item, bool) or not (
        isinstance(item, str | int | float) or callable(item)  # tokens are callable too
    ):
        raise ValueError("expected a name, a number, a definition, a function or a Token")
    return item


FunctionSet = list[
    Annotated[
        Any,
        AfterValidator(_token),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number"}]}),
    ]
]
"""Functions and tokens themselves are for Python; a file names them."""


def _loss(value: object) -> object:
    if value is not None and not isinstance(value, str) and not callable(value):
        raise ValueError("expected a name, a formula, 'module:function', or in Python a function")
    return value


Loss = Annotated[
    Any,
    AfterValidator(_loss),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}),
]


class BenchmarkDataset(Section):
    """A named benchmark with options of its own."""

    name: Text = Field(description="Name of the benchmark.")
    benchmark_source: Text | None = key(None, "Table with the benchmark; null = the one of dso.")
    root: PathText | None = key(None, "Folder of benchmark_source.")
    noise: NonNegative | None = key(None, "Deviation of added noise, in RMS of the training y.")
    seed: CountOrZero | None = key(None, "Seed of the draw of the points; null = 0.")
    logdir: PathText | None = key(None, "Folder for a copy of the data.")
    backup: bool = key(False, "Whether to save a copy of the data in logdir.")
    y_limit: Positive | None = key(None, "Points drawn with |y| above it are drawn again.")

    def to_dict(self) -> dict:
        """Return the keys that were given; the benchmark itself says the others."""
        return {name: getattr(self, name) for name in sorted(self.model_fields_set)}


def _dataset_kind(value: object) -> str:
    if isinstance(value, str):
        return "name"
    return "benchmark" if isinstance(value, dict | BenchmarkDataset) else "arrays"


def _arrays(value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) not in (2, 3):
        raise ValueError(
            "expected the name of a benchmark, the path of a table, "
            "a dict with 'name', a pair (X, y), or (X, y, weights)"
        )
    return value


Dataset = Annotated[
    Annotated[Text, Tag("name")]
    | Annotated[BenchmarkDataset, Tag("benchmark")]
    | Annotated[
        Any,
        AfterValidator(_arrays),
        WithJsonSchema({"type": "array", "minItems": 2, "maxItems": 3}),
        Tag("arrays"),
    ],
    Discriminator(_dataset_kind),
]
Thresholds = list[float] | list[list[float]] | None


Weights = Annotated[
    Any,
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "array"}, {"type": "null"}], "default": None}
    ),
]


class PolyOptimizer(Section):
    """How the polynomial of a `poly` token is fitted."""

    degree: Annotated[int, Field(ge=0, le=100), WHOLE] = key(3, "Total degree of the polynomial.")
    coef_tol: NonNegative = key(1e-6, "Smaller coefficients are dropped.")
    regressor: Literal["dso_least_squares", "dso_lasso", "linear_regression", "lasso", "ridge"] = (
        key("dso_least_squares", "Method of the fit.")
    )
    regressor_params: dict[str, Any] = key(
        {},
        "Arguments of the regressor. dso_least_squares: cutoff_p_value 1.0, n_max_terms null, "
        "coef_tol 1e-6; dso_lasso: gamma 0.1, comp_tol 1e-4, rtrn_constrnd_ls true; others: those "
        "of scikit-learn.",
    )

    @field_validator("regressor_params")
    @classmethod
    def _fill(cls, params: dict, info: ValidationInfo) -> dict:
        defaults = REGRESSOR_DEFAULTS.get(info.data.get("regressor", ""), {})
        for name in params if defaults else ():
            if name not in defaults:
                raise unknown("parameter", name, defaults)
        return defaults | params


class TemplateSection(Section):
    """The form of every expression: what is given, and holes that are searched for."""

    combine: Text = Field(description="The formula, e.g. 'sin(f(x1, x2)) + g(x3)**2'.")
    expressions: list[Text] = Field(description="Names of its holes, e.g. [f, g].")
    variable_names: list[Text] | None = key(
        None, "Names of the inputs in it; null = those of the data."
    )
    parameters: dict[str, Annotated[int, Field(ge=1, le=100), WHOLE]] = key(
        {},
        "Fitted constants by name and how many of each: p[1], p[2], ..., or p[k] for one of each "
        "value of the input k.",
    )


Range = Annotated[list[float], Field(min_length=2, max_length=2)]


class StatementSection(Section):
    """Something that is known of the answer."""

    kind: Literal["bounds", "monotone", "convex", "value"] = Field(
        description="All values lie between low and high; never fall as an input rises; are convex "
        "in an input; have a value at a point."
    )
    low: float | None = key(None, "bounds: the least value; null = none.")
    high: float | None = key(None, "bounds: the greatest value; null = none.")
    input: Text | None = key(None, "monotone, convex: the name of the input.")
    falls: bool | None = key(None, "monotone: true = values never rise.")
    is_concave: bool | None = key(None, "convex: true = concave.")
    at: dict[str, float] | None = key(None, "value: inputs by name; others have any value.")
    value: float | None = key(None, "value: the value there.")
    tolerance: NonNegative | None = key(None, "value: how far from it is near enough; 1e-6.")
    box: dict[str, Range] | None = key(
        None, "Ranges of inputs by name; null = those of the training data."
    )


class RegressionTask(Section):
    """Find the expression that gives y from X."""

    task_type: Literal["regression"] | None = key(
        "regression", "'regression', 'control', or a task of your own: 'module:Class'."
    )
    dataset: Dataset = key(
        "Nguyen-1",
        "Benchmark name, path of a table (y is its last column), or a dict: name, "
        "benchmark_source, root, noise, seed, logdir, backup, y_limit. In Python also (X, y) or "
        "(X, y, weights).",
    )
    dataset_test: Any = key(
        None,
        "Test rows: the path of a CSV with the same columns, or in Python (X, y). They are "
        "reported, as nmse_test, and never searched on.",
    )
    header: bool | None = key(
        None, "Whether the CSV has a header; null: if a cell of its first row is not a number."
    )
    y_limit: Positive | None = key(
        100.0, "Points of a benchmark drawn with |y| above it are drawn again; null = no limit."
    )
    weights: Weights = key(
        None, "Weights of the rows: a column of the CSV, or in Python an array with (X, y)."
    )
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = key(
        0.0, "Share of the rows set aside to rank hall of fame and Pareto front."
    )
    batching: bool | Literal["auto"] = key(
        "auto",
        "Whether the search sees some of the rows at a time, and only programs that it keeps are "
        "rewarded on all rows; 'auto': with more than 1000.",
    )
    batching_rows: Annotated[int, Field(ge=2), WHOLE] | None = key(
        None, "How many rows the search sees at a time; null = 1000."
    )
    function_set: FunctionSet | None = key(
        None,
        "Tokens: operators, numbers, 'const' (fitted), 'poly' (fitted polynomial), definitions "
        "such as 'inv2(x) = 1/x^2', 'module:name'. null = the benchmark's set; for data "
        "add sub mul div sin cos exp log.",
    )
    elementwise_loss: Loss = key(
        None,
        "What is to be small in each row instead of the squared error: a name as 'HuberLoss{1}', a "
        "formula as '(x, y) -> abs(x - y)', 'module:function'.",
    )
    loss_function: Loss = key(
        None, "The same for whole predictions: 'module:function' of predictions and data."
    )
    loss_scale: Literal["log", "linear"] = key(
        "log", "'linear': losses may be negative, as logarithms of likelihoods are."
    )
    complexities: dict[str, Annotated[float, Field(ge=0, le=10_000)]] = key(
        {},
        "Complexities of tokens in place of those of the table, e.g. {div: 2, const: 0.5}; "
        "'inputs' stands for all inputs, 'others' for all tokens that are not named.",
    )
    guesses: list[Text | dict[str, Text | list[float]]] = key(
        [],
        "Formulas that join the first batch, e.g. 'c1*sin(x1) + 2': numbers stay, constants c, c1, "
        "c2, ... are fitted. One that a prior forbids is refused. With a template a dict of its "
        "expressions, '#1' is the first input of one, and of numbers of its parameters.",
    )
    template: TemplateSection | None = key(
        None, "The form of every expression; see docs/templates.md. null = any."
    )
    metric: Metric = key(
        "inv_nrmse", "Reward: " + ", ".join(METRIC_PARAMETERS) + ", or 'module:function'."
    )
    metric_params: list[float] | None = key([1.0], "Parameters of the metric; null = its usual.")
    extra_metric_test: Metric | None = key(None, "Another metric to report on the test data.")
    extra_metric_test_params: list[float] | None = key([], "Parameters of extra_metric_test.")
    model_selection: Literal["auto", "reward", *SELECTIONS] = key(  # type: ignore[valid-type]
        "auto",
        "Which program of the Pareto front is the result: a rule, or 'reward', the greatest; "
        f"'auto': {SELECTIONS[0]!r} for rows of data, 'reward' for benchmarks.",
    )
    threshold: NonNegative = key(1e-12, "Success: the noiseless test NMSE is below it.")
    protected: bool = key(False, "Whether operators return a number everywhere (div by 0 = 1).")
    reward_noise: Noise = key(0.0, "Deviation of noise added to the reward.")
    reward_noise_type: Literal["r", "y_hat"] = key(
        "r", "Noise on the reward 'r' or, in RMS of y, on the predictions 'y_hat'."
    )
    normalize_variance: bool = key(False, "Divide a noisy reward by sqrt(1 + 12 * noise^2).")
    decision_tree_threshold_set: Thresholds = key(
        [], "Thresholds of decision nodes 'x1 < t': one list, or one for each input."
    )
    X_units: list[str | None] | None = key(
        None, "Units of the inputs, such as 'm/s^2'; '' = a pure number, null = not known."
    )
    y_units: str | None = key(None, "Unit of y.")
    dimensionless_constants_only: bool = key(
        False, "Whether fitted constants are pure numbers; else each may have any unit."
    )
    dimensional_constraint_penalty: NonNegative | None = key(
        None,
        "Added to the loss of an expression whose units are not consistent; null = none is "
        "written, by the prior 'units'.",
    )
    knowledge: list[StatementSection] = key(
        [], "What is known of the answer: bounds, monotony, convexity, values; see docs/pysr.md."
    )
    knowledge_penalty: NonNegative = key(
        0.0, "Added to the loss of an expression for each statement of 'knowledge' that it breaks."
    )
    poly_optimizer_params: Annotated[
        PolyOptimizer, BeforeValidator(lambda value: {} if value is None else value)
    ] = key(PolyOptimizer(), "Fit of the 'poly' token; null = as it is by default.")

    @field_validator("metric_params", "extra_metric_test_params")
    @classmethod
    def _count(cls, params: list[float] | None, info: ValidationInfo) -> list[float] | None:
        metric = info.data.get((info.field_name or "").removesuffix("_params"))
        needed = METRIC_PARAMETERS.get(metric or "")
        if needed is None:
            # A metric of the user's own: what it takes is between them.
            return params or []
        if params is None and needed <= 1:
            return [1.0] * needed
        if params is None or len(params) != needed:
            raise ValueError(f"metric '{metric}' takes {needed} parameters")
        if params and not any(params):
            raise ValueError(f"with {params} metric '{metric}' is the same for every program")
        return params


class ActionStage(Section):
    """What the search of one action differs in; null is what all have."""

    function_set: list[str | float] | None = key(None, "Tokens of its expressions.")
    max_length: Count | None = key(None, "Most tokens in its expressions.")
    start: list[str | list[str | float]] | None = key(
        None, "Expressions, as tokens, that join its first batch."
    )


class Stages(Section):
    """How action_spec 'auto' finds one action after the other."""

    order: list[Count] | None = key(
        None, "Numbers of the actions in the order of the searches; null = as measured."
    )
    sweeps: CountOrZero = key(
        1, "Times, at most, that each action is searched again while the others are formulas."
    )
    distill: bool = key(
        True, "Whether searches start from formulas that imitate the anchor, where there is one."
    )
    distill_episodes: Size = key(10, "Episodes in each round of imitating the anchor.")
    distill_rounds: CountOrZero = key(
        2, "Rounds in which the imitation plays and the anchor says what it would have done."
    )
    distill_samples: CountOrZero = key(
        20_000, "Evaluations of the regression on what the anchor does; 0 = lines alone."
    )
    joint_candidates: CountOrZero = key(
        600, "Sets of numbers that are tried when all actions are formulas; 0 = none."
    )
    joint_episodes: Size = key(
        16, "Episodes of such a set; the worse half of a generation plays a quarter of them."
    )
    actions: list[ActionStage] = key([], "One dict per action, from the first on: see below.")


class ControlTask(Section):
    """Find a closed-form policy of a Gymnasium environment."""

    task_type: Literal["control"] = key(
        "control", "'regression', 'control', or a task of your own: 'module:Class'."
    )
    env: Text = key(
        "CustomCartPoleContinuous-v0",
        "Id of the environment, or 'module:Env-v0', or 'file.py:Env-v0'.",
    )
    env_kwargs: dict[str, Any] | None = key({}, "Arguments of the environment.")
    observation_names: list[Text] | None = key(
        None,
        "Names that formulas show in place of x1, x2, ...; null = those known for the "
        "environment, [] = x1, x2, ...",
    )
    action_spec: Literal["auto"] | list[str | list[str | float] | None] | None = key(
        [None],
        "One entry per action: null = learn it, 'anchor' = taken from the anchor model, or the "
        "tokens of a fixed expression. 'auto' = learn all, one after the other.",
    )
    stages: Stages = key(Stages(), "How 'auto' does that.")
    start: list[str | list[str | float]] | None = key(
        None, "Expressions of the learned action, as tokens, that join the first batch."
    )
    algorithm: Text | None = key(None, "Algorithm of the anchor model; null = as its file says.")
    anchor: Text | None = key(None, "Path of the anchor model; null = the shipped one, if any.")
    n_episodes_train: Size = key(25, "Episodes per reward.")
    n_episodes_test: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] = key(
        1000, "Episodes per evaluation."
    )
    n_episodes_validation: Annotated[int, Field(ge=0, le=1_000_000), WHOLE] = key(
        200,
        "Other episodes that rank the best programs of a run again; 0 = none do.",
    )
    n_validated: Size = key(50, "How many of the best programs are ranked again.")
    success_score: float | None = key(
        999999.0, "Return from which an episode is a success; null = as the environment says."
    )
    function_set: list[str | float] | None = key(
        ["add", "sub", "mul", "div", "sin", "cos", "exp", "log", 0.1, 1.0, 5.0],
        "Tokens: operators, numbers; ignored where actions are discrete.",
    )
    protected: bool = key(False, "Whether operators return a number everywhere (div by 0 = 1).")
    fix_seeds: bool = key(True, "Whether every program meets the same training episodes.")
    episode_seed_shift: Annotated[int, Field(ge=0, le=10**9), WHOLE] = key(
        0, "Which set of fixed training episodes."
    )
    reward_scale: bool | Annotated[list[float], Field(min_length=2, max_length=2)] | None = key(
        True, "Rescaling of returns: true = by a table of environments, [min, max], false = none."
    )
    decision_tree_threshold_set: Thresholds = key(
        [], "Thresholds of decision nodes 'x1 < t': one list, or one for each input."
    )
    ref_action: Int | float | list[Int | float] | None = key(
        None, "Value of actions that a decision tree leaves open."
    )
    racing: bool | Literal["auto"] = key(
        "auto",
        "Whether programs that start clearly badly, or act like an earlier one, do not play all "
        "training episodes; 'auto': where there are at least 4.",
    )
    refine_rounds: CountOrZero | None = key(
        None,
        "Rounds of local search over the numbers of the best program, at the end; 0 = none; null "
        "= 40 where a native loop plays the episodes, none elsewhere.",
    )

    @field_validator("reward_scale")
    @classmethod
    def _ascending(cls, scale: object) -> object:
        if isinstance(scale, list) and scale[0] >= scale[1]:
            raise ValueError("the minimum must be below the maximum")
        return scale


class CustomTask(Section):
    """A task of the user's own; its keys go to its constructor."""

    model_config = ConfigDict(extra="allow")
    task_type: Reference = Field(description="'module:Class' or 'path/to/file.py:Class'.")


def task_kind(task: object) -> str:
    kind = task.get("task_type") if isinstance(task, dict) else getattr(task, "task_type", None)
    return "plug-in" if is_reference(kind) else "control" if kind == "control" else "regression"


Task = Annotated[
    Annotated[RegressionTask, Tag("regression")]
    | Annotated[ControlTask, Tag("control")]
    | Annotated[CustomTask, Tag("plug-in")],
    Discriminator(task_kind),
]
