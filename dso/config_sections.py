"""Every section and key of the config, with its default, its meaning and what it may be.

This module is the one place of defaults; the files in ``config/`` are written from it.
"""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from dso.config_errors import describe
from dso.config_files import merge, plain
from dso.errors import UserError, unknown
from dso.registry import is_reference

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

REGRESSOR_DEFAULTS: dict[str, dict] = {
    "dso_least_squares": {"cutoff_p_value": 1.0, "n_max_terms": None, "coef_tol": 1e-6},
    "dso_lasso": {"gamma": 0.1, "comp_tol": 1e-4, "rtrn_constrnd_ls": True},
    "linear_regression": {},
    "lasso": {},
    "ridge": {},
}
"""Regressors of the `poly` token; the parameters of each belong to it alone."""

# Arguments of scipy.optimize.minimize, to which const_params goes with const_optimizer "scipy".
SCIPY_ONLY = ("method", "jac", "hess", "hessp", "constraints", "tol", "callback", "options")


def _integral(value: object) -> object:
    """Let 1e3 be an integer, as JSON has only one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _metric(name: str) -> str:
    if name not in METRIC_PARAMETERS and not is_reference(name):
        raise unknown("metric", name, METRIC_PARAMETERS)
    return name


WHOLE = BeforeValidator(_integral)
Int = Annotated[int, WHOLE]
Count = Annotated[int, Field(ge=1, le=10**15), WHOLE]
CountOrZero = Annotated[int, Field(ge=0, le=10**15), WHOLE]
Level = Annotated[int, Field(ge=0, le=10), WHOLE]
Size = Annotated[int, Field(ge=1, le=10_000), WHOLE]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]
Text = Annotated[str, Field(min_length=1)]
Names = str | list[str | float]
Reference = Annotated[str, Field(pattern=":")]
Metric = Annotated[
    str,
    AfterValidator(_metric),
    WithJsonSchema({"anyOf": [{"enum": list(METRIC_PARAMETERS)}, {"pattern": ":"}]}),
]


def key(default: object, meaning: str) -> Any:
    """Declare a key: what it is where the user says nothing, and what it means."""
    return Field(default, description=meaning)


def run_time_key() -> Any:
    """Declare a key that a run writes into its config and no user does."""
    return Field(None, exclude=True, description="Written at run time.")


class Section(BaseModel):
    """A section of the config, or a part of one. Unknown keys and inexact types are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_default=True
    )

    @classmethod
    def defaults(cls) -> dict:
        """Return the defaults as a plain dict, before anything is derived from them."""
        return {
            name: type(value).defaults() if isinstance(value, Section) else value
            for name, field in cls.model_fields.items()
            if not field.exclude
            for value in [field.get_default(call_default_factory=True)]
        }

    def to_dict(self) -> dict:
        """Return the section as a plain dict, the keys of a plug-in included."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        # Keys written while running have no place in a config until they have a value.
        hidden = {n for n, field in type(self).model_fields.items() if field.exclude}
        return {
            name: _to_plain(value)
            for name, value in (values | (self.model_extra or {})).items()
            if not (name in hidden and value is None)
        }


def _to_plain(value: object) -> object:
    if isinstance(value, Section):
        return value.to_dict()
    if isinstance(value, list):
        return [_to_plain(item) for item in value]
    return value


class Experiment(Section):
    """Where results go, and the seed."""

    logdir: Text | None = key("./logs", "Folder that run folders are made in; null writes no file.")
    exp_name: Text | None = key(None, "Name of the run folder; null = task name and time.")
    seed: Annotated[int, Field(ge=0, lt=2**63), WHOLE] | None = key(
        0, "Seed of the first run, run i takes seed + i; null draws one."
    )
    starting_seed: Int | None = Field(
        default=None, exclude=True, description="Written at run time."
    )
    cmd: str | None = run_time_key()
    timestamp: str | None = run_time_key()
    task_name: str | None = run_time_key()
    save_path: str | None = run_time_key()


class BenchmarkDataset(Section):
    """A named benchmark with options of its own."""

    name: Text = Field(description="Name of the benchmark.")
    benchmark_source: Text | None = key(None, "Table with the benchmark; null = the one of dso.")
    root: Text | None = key(None, "Folder of benchmark_source.")
    noise: NonNegative | None = key(None, "Deviation of added noise, in RMS of the training y.")
    seed: CountOrZero | None = key(None, "Seed of the draw of the points; null = 0.")
    logdir: Text | None = key(None, "Folder for a copy of the data.")
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
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(
            "expected the name of a benchmark, a path that ends in '.csv', "
            "a dict with 'name', or a pair (X, y)"
        )
    return value


Dataset = Annotated[
    Annotated[Text, Tag("name")]
    | Annotated[BenchmarkDataset, Tag("benchmark")]
    | Annotated[Any, AfterValidator(_arrays), Tag("arrays")],
    Discriminator(_dataset_kind),
]
Thresholds = list[float] | list[list[float]] | None


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


class RegressionTask(Section):
    """Find the expression that gives y from X."""

    task_type: Literal["regression"] | None = key(
        "regression", "'regression', 'control', or a task of your own: 'module:Class'."
    )
    dataset: Dataset = key(
        "Nguyen-1",
        "Benchmark name, CSV path (the last column is y), or a dict: name, benchmark_source, root, "
        "noise, seed, logdir, backup, y_limit. In Python also a pair (X, y).",
    )
    header: bool | None = key(
        None, "Whether the CSV has a header; null: if a cell of its first row is not a number."
    )
    y_limit: Positive | None = key(
        100.0, "Points of a benchmark drawn with |y| above it are drawn again; null = no limit."
    )
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = key(
        0.0, "Share of the rows set aside to rank the hall of fame."
    )
    function_set: list[str | float] | None = key(
        None,
        "Tokens: operators, numbers, 'const' (fitted), 'poly' (fitted polynomial), "
        "'module:name'. null = the benchmark's set; for data add sub mul div sin cos exp log.",
    )
    metric: Metric = key(
        "inv_nrmse", "Reward: " + ", ".join(METRIC_PARAMETERS) + ", or 'module:function'."
    )
    metric_params: list[float] | None = key([1.0], "Parameters of the metric; null = its usual.")
    extra_metric_test: Metric | None = key(None, "Another metric to report on the test data.")
    extra_metric_test_params: list[float] | None = key([], "Parameters of extra_metric_test.")
    threshold: NonNegative = key(1e-12, "Success: the noiseless test NMSE is below it.")
    protected: bool = key(False, "Whether operators return a number everywhere (div by 0 = 1).")
    reward_noise: NonNegative = key(0.0, "Deviation of noise added to the reward.")
    reward_noise_type: Literal["r", "y_hat"] = key(
        "r", "Noise on the reward 'r' or, in RMS of y, on the predictions 'y_hat'."
    )
    normalize_variance: bool = key(False, "Divide a noisy reward by sqrt(1 + 12 * noise^2).")
    decision_tree_threshold_set: Thresholds = key(
        [], "Thresholds of decision nodes 'x1 < t': one list, or one for each input."
    )
    poly_optimizer_params: PolyOptimizer = key(PolyOptimizer(), "Fit of the 'poly' token.")

    @field_validator("metric_params", "extra_metric_test_params")
    @classmethod
    def _count(cls, params: list[float] | None, info: ValidationInfo) -> list[float] | None:
        metric = info.data.get((info.field_name or "").removesuffix("_params"))
        needed = METRIC_PARAMETERS.get(metric or "")
        if needed is None:
            return params
        if params is None and needed <= 1:
            return [1.0] * needed
        if params is None or len(params) != needed:
            raise ValueError(f"metric '{metric}' takes {needed} parameters")
        return params


class ControlTask(Section):
    """Find a closed-form policy of a Gymnasium environment."""

    task_type: Literal["control"] = key(
        "control", "'regression', 'control', or a task of your own: 'module:Class'."
    )
    env: Text = key("CustomCartPoleContinuous-v0", "Id of the environment, or 'module:Env-v0'.")
    env_kwargs: dict[str, Any] | None = key({}, "Arguments of the environment.")
    action_spec: list[str | list[str | float] | None] | None = key(
        [None],
        "One entry per action: null = learn it, 'anchor' = taken from the anchor model, or the "
        "tokens of a fixed expression.",
    )
    algorithm: Text | None = key(None, "Algorithm of the anchor model; null = as its file says.")
    anchor: Text | None = key(None, "Path of the anchor model; null = the shipped one, if any.")
    n_episodes_train: Size = key(10, "Episodes per reward.")
    n_episodes_test: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] = key(
        1000, "Episodes per evaluation."
    )
    success_score: float | None = key(999999.0, "Return from which an episode is a success.")
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
        True, "Rescale returns: true = by our table, [min, max], or false = not."
    )
    decision_tree_threshold_set: Thresholds = key(
        [], "Thresholds of decision nodes 'x1 < t': one list, or one for each input."
    )
    ref_action: Int | float | list[Int | float] | None = key(
        None, "Value of actions that a decision tree leaves open."
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


class ConstantFit(Section):
    """`training.const_params` of const_optimizer 'lm'."""

    bounds: list[float | None] | list[list[float | None]] | None = key(
        None, "[low, high] of every constant, or a pair for each; null = no bound."
    )
    n_starts: Annotated[int, Field(ge=1, le=1000), WHOLE] = key(1, "Start points of the fit.")
    max_iterations: Annotated[int, Field(ge=1, le=10_000), WHOLE] = key(
        50, "Limit of steps per start."
    )

    @field_validator("bounds")
    @classmethod
    def _pairs(cls, bounds: list | None) -> list | None:
        pairs = [bounds] if bounds and not isinstance(bounds[0], list) else bounds or []
        for pair in pairs:
            if len(pair) != 2 or (None not in pair and pair[0] >= pair[1]):
                raise ValueError("each bound is a pair [low, high] with low < high")
        return bounds


class Training(Section):
    """Budget, risk filter, baseline and the fit of constants."""

    n_samples: Count = key(2_000_000, "Budget of evaluations; the run ends when it is used up.")
    batch_size: Annotated[int, Field(ge=1, le=10_000_000), WHOLE] = key(
        1000, "Expressions sampled per iteration."
    )
    epsilon: PositiveShare | None = key(
        0.05, "Share of the batch, the best, that trains the policy; null or 1.0 = all of it."
    )
    baseline: Literal["ewma_R", "R_e", "ewma_R_e", "combined"] = key(
        "R_e",
        "Baseline: 'R_e' the quantile of the rewards, 'ewma_R' moving average of the mean reward, "
        "'ewma_R_e' of the quantile, 'combined' quantile plus average of the rest.",
    )
    alpha: PositiveShare = key(0.5, "Weight of the newest value in moving averages.")
    b_jumpstart: bool = key(False, "Moving averages start from the first value instead of 0.")
    n_cores_batch: Annotated[int, Field(ge=-1, le=65536), WHOLE] | None = key(
        1, "Threads (Python tasks: processes) that evaluate a batch; -1 = all cores, null = 1."
    )
    complexity: Literal["token", "length"] | None = key(
        "token", "Size in the Pareto front: sum over 'token' values, 'length', or null = 0."
    )
    const_optimizer: Literal["lm", "scipy", "dummy"] | None = key(
        "lm",
        "Fit of 'const': 'lm' our Levenberg-Marquardt, 'scipy' scipy.optimize.minimize (slow), "
        "'dummy' or null leave 1.0.",
    )
    const_params: dict[str, Any] = key(
        {},
        "Options of the fit. lm: bounds null, n_starts 1, max_iterations 50; scipy: arguments of "
        "scipy.optimize.minimize, method 'L-BFGS-B' and options {gtol: 1e-3} if absent.",
    )
    max_seconds: Positive | None = key(None, "Stop after so much wall time.")
    reward_threshold: float | None = key(None, "Stop once the best reward reaches it.")
    patience: Count | None = key(None, "Stop after so many iterations without a better reward.")
    early_stopping: bool = key(True, "Stop once the best expression is a success.")
    verbose: bool = key(True, "Show progress.")
    debug: Level = key(0, "Print parameter statistics: 1 at the start of steps, 2 at the end too.")
    use_memory: bool = key(False, "Memory-augmented quantile.")
    memory_capacity: Count = key(1000, "Items in the memory.")
    warm_start: CountOrZero | None = key(
        None, "Samples that fill the memory first; null = batch_size."
    )
    memory_threshold: Share | None = key(
        None, "Share of probability in the memory above which its variance is reported."
    )

    @field_validator("n_cores_batch")
    @classmethod
    def _some_core(cls, n_cores: int | None) -> int | None:
        if n_cores == 0:
            raise ValueError("expected -1 (all cores), or 1 and more")
        return n_cores

    @field_validator("const_params")
    @classmethod
    def _fill(cls, params: dict, info: ValidationInfo) -> dict:
        optimizer = info.data.get("const_optimizer")
        if optimizer == "scipy":
            base: dict = {"method": "L-BFGS-B"}
            if params.get("method", "L-BFGS-B") == "L-BFGS-B":
                base["options"] = {"gtol": 1e-3}
            return merge(base, params)
        if optimizer != "lm":
            return params
        foreign = next((name for name in params if name in SCIPY_ONLY), None)
        if foreign is not None:
            raise ValueError(f"'{foreign}' is an option of const_optimizer 'scipy', not of 'lm'")
        try:
            return ConstantFit.model_validate(params).to_dict()
        except ValidationError as error:
            raise UserError(describe(error, params, lambda path: ConstantFit)) from None


class Logging(Section):
    """What is written beside the statistics of each iteration."""

    save_all_iterations: bool = key(False, "Reward, length and validity of every sample.")
    save_summary: bool = key(False, "TensorBoard summaries.")
    save_positional_entropy: bool = key(False, "Entropy of the tokens at each position.")
    save_pareto_front: bool = key(True, "The Pareto front of reward against complexity.")
    save_cache: bool = key(False, "Every expression with its reward.")
    save_cache_r_min: float | None = key(0.9, "Least reward for save_cache; null = all.")
    save_freq: Annotated[int, Field(ge=-1, le=10**9), WHOLE] | None = key(
        1, "Write to disk every so many iterations; null = 1; below 1 = at the end only."
    )
    save_token_count: bool = key(False, "How often each token was sampled.")
    save_top_samples_per_batch: Share = key(0.0, "Share of each batch, the best, to write down.")
    hof: CountOrZero | None = key(100, "Size of the hall of fame; null or 0 = none.")


class StateManager(Section):
    """What the policy sees of the expression so far."""

    type: Literal["hierarchical"] = key("hierarchical", "The only kind.")
    observe_action: bool = key(False, "The token before.")
    observe_parent: bool = key(True, "The parent of the next token.")
    observe_sibling: bool = key(True, "The sibling of the next token.")
    observe_dangling: bool = key(False, "The number of open places.")
    embedding: bool = key(False, "Trained embeddings instead of one-hot codes.")
    embedding_size: Size = key(8, "Width of the embeddings.")

    @model_validator(mode="after")
    def _observes(self) -> "StateManager":
        names = ("observe_action", "observe_parent", "observe_sibling", "observe_dangling")
        if not any(getattr(self, name) for name in names):
            raise ValueError(f"at least one of {', '.join(names)} must be true")
        return self


class Policy(Section):
    """The recurrent network that writes expressions."""

    policy_type: Literal["rnn"] = key("rnn", "'rnn', or a policy of your own: 'module:Class'.")
    max_length: Size = key(64, "Most tokens in an expression; the length prior's max_ overrides.")
    cell: Literal["lstm", "gru"] = key("lstm", "Kind of cell: 'lstm' or 'gru'.")
    num_layers: Annotated[int, Field(ge=1, le=100), WHOLE] = key(1, "Layers of cells.")
    num_units: Size | Annotated[list[Size], Field(min_length=1, max_length=100)] = key(
        32, "Units per layer; a list has one number for each layer and says how many there are."
    )
    initializer: Literal["zeros", "var_scale"] = key(
        "zeros", "Initial weights: 'zeros' or 'var_scale'."
    )
    action_prob_lowerbound: Annotated[float, Field(ge=0, lt=1)] = key(
        0.0, "Probability spread over all tokens before priors apply."
    )
    sample_novel_batch: bool = key(False, "Sample until the batch holds only new expressions.")
    max_attempts_at_novel_batch: Annotated[int, Field(ge=1, le=10_000), WHOLE] = key(
        10, "Attempts of sample_novel_batch."
    )
    debug: Level = key(0, "Level of debug output.")


class CustomPolicy(Policy):
    """A policy of the user's own; its further keys go to its constructor."""

    model_config = ConfigDict(extra="allow")
    policy_type: Reference = Field(description="'module:Class'.")  # type: ignore[assignment]


class PolicyOptimizer(Section):
    """How the policy learns from rewards."""

    policy_optimizer_type: Literal["pg", "pqt", "ppo"] = key(
        "pg",
        "'pg' policy gradient, 'pqt' priority queue training, 'ppo' proximal policy optimisation, "
        "or one of your own: 'module:Class'.",
    )
    summary: bool = key(False, "Write TensorBoard summaries (with logging.save_summary).")
    learning_rate: Annotated[float, Field(gt=0, le=1000)] = key(0.001, "Step size.")
    optimizer: Literal["adam", "rmsprop", "sgd"] = key("adam", "'adam', 'rmsprop' or 'sgd'.")
    entropy_weight: NonNegative = key(0.005, "Weight of the entropy bonus.")
    entropy_gamma: Share | None = key(1.0, "Entropy of position t counts gamma^t; null = 1.")
    pqt_k: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] = key(10, "PQT: size of the queue.")
    pqt_batch_size: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] = key(
        1, "PQT: items drawn from the queue per step."
    )
    pqt_weight: NonNegative = key(200.0, "PQT: weight of its loss.")
    pqt_use_pg: bool = key(False, "PQT: add the policy gradient.")
    ppo_clip_ratio: Annotated[float, Field(gt=0, lt=1)] = key(0.2, "PPO: bound of the ratio.")
    ppo_n_iters: Annotated[int, Field(ge=1, le=10_000), WHOLE] = key(
        10, "PPO: passes over the batch."
    )
    ppo_n_mb: Annotated[int, Field(ge=1, le=10_000), WHOLE] = key(4, "PPO: minibatches per pass.")
    debug: Level = key(0, "Level of debug output.")


class CustomPolicyOptimizer(PolicyOptimizer):
    """A policy optimiser of the user's own; its further keys go to its constructor."""

    model_config = ConfigDict(extra="allow")
    policy_optimizer_type: Reference = Field(description="'module:Class'.")  # type: ignore[assignment]


def _plug_in_if(type_key: str) -> Discriminator:
    """Choose the tag 'plug-in' where the value at `type_key` is a reference."""

    def kind(section: object) -> str:
        value = (
            section.get(type_key) if isinstance(section, dict) else getattr(section, type_key, None)
        )
        return "plug-in" if is_reference(value) else "built-in"

    return Discriminator(kind)


class GPMeld(Section):
    """Genetic programming seeded by the policy's samples."""

    run_gp_meld: bool = key(False, "Whether to run it.")
    verbose: bool = key(False, "Print every generation.")
    generations: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] = key(
        20, "Generations per iteration."
    )
    population_size: Annotated[int, Field(ge=1, le=10_000_000), WHOLE] | None = key(
        None, "Individuals, drawn from the batch; null = the whole batch."
    )
    p_crossover: Share = key(0.5, "Probability that a pair is crossed.")
    p_mutate: Share = key(0.5, "Probability that an individual is mutated.")
    tournament_size: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] = key(
        5, "Individuals that compete for a place."
    )
    train_n: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] = key(
        50, "Best individuals that join the batch."
    )
    mutate_tree_max: Annotated[int, Field(ge=0, le=30), WHOLE] = key(
        3, "Greatest depth of a subtree made by mutation."
    )
    crossover_operator: Literal["cxOnePoint"] = key("cxOnePoint", "Swap of two subtrees.")
    mutation_operator: Literal["multi_mutate"] = key(
        "multi_mutate", "One of subtree, replacement, insertion, shrink."
    )
    parallel_eval: bool = key(False, "Evaluate offspring on all cores.")
    ind_representation: str = key("", "Kept for old files; without effect.")

    @model_validator(mode="after")
    def _train_on_population(self) -> "GPMeld":
        if self.population_size is not None and self.train_n > self.population_size:
            raise ValueError(
                f"train_n ({self.train_n}) is greater than population_size ({self.population_size})"
            )
        return self


class Semantic(Section):
    """Library of small expressions by their values, searched for what is missing."""

    on: bool = key(False, "Whether to use it.")


class Prior(Section):
    """A prior without parameters."""

    on: bool = key(False, "Whether it applies.")


class RelationalPrior(Prior):
    """Targets may not be the relation of effectors."""

    targets: Names = key([], "Tokens that are masked.")
    effectors: Names = key([], "Tokens that mask them.")
    relationship: Literal["child", "descendant", "sibling", "uchild", "lchild", "rchild"] | None = (
        key(None, "'child', 'descendant', 'sibling', 'uchild', 'lchild' or 'rchild'.")
    )


class LengthPrior(Prior):
    """Bounds of the number of tokens."""

    min_: Size | None = key(4, "Least number of tokens; null = no bound.")
    max_: Size | None = key(30, "Greatest number of tokens; null = no bound.")

    @model_validator(mode="after")
    def _ordered(self) -> "LengthPrior":
        return _check_ordered(self, self.min_, self.max_)


class RepeatPrior(Prior):
    """Bounds of how often tokens occur, all of them together."""

    tokens: Names = key("const", "Tokens that are counted.")
    min_: CountOrZero | None = key(None, "Least count; null = no bound.")
    max_: CountOrZero | None = key(3, "Greatest count; null = no bound.")

    @model_validator(mode="after")
    def _ordered(self) -> "RepeatPrior":
        return _check_ordered(self, self.min_, self.max_)


def _check_ordered(prior: Any, low: int | None, high: int | None) -> Any:
    if prior.on and low is not None and high is not None and low > high:
        raise ValueError(f"min_ ({low}) is greater than max_ ({high})")
    return prior


class SoftLengthPrior(Prior):
    """A preference for lengths about `loc`."""

    loc: NonNegative | None = key(10.0, "Preferred length.")
    scale: Positive | None = key(5.0, "Width of the preference.")


class LanguageModelPrior(Prior):
    """Likely tokens by a language model; further keys are the model's."""

    model_config = ConfigDict(extra="allow")
    weight: NonNegative | None = key(None, "Weight of its logits.")


class MultiDiscretePrior(Prior):
    """Order of actions in environments with several discrete ones."""

    dense: bool = key(False, "Every action must be set.")
    ordered: bool = key(False, "Actions are set in the order of their dimensions.")


class MaxSizePrior(Prior):
    """Bound of the complexity."""

    max_: Count | None = key(None, "Greatest sum of token complexities.")


class MaxDepthPrior(Prior):
    """Bound of the depth."""

    max_: Size | None = key(None, "Greatest depth; a single token has depth 1.")


class ArgumentSizePrior(Prior):
    """Bounds of the complexity of each argument of an operator."""

    limits: dict[
        str, Annotated[int, Field(ge=-1), WHOLE] | list[Annotated[int, Field(ge=-1), WHOLE]]
    ] = key({}, "By operator: one bound, or one for each argument, e.g. {pow: [-1, 1]}; -1 = none.")


class NestingPrior(Prior):
    """Bounds of how often operators occur below others."""

    limits: dict[str, dict[str, CountOrZero]] = key(
        {}, "By operator: greatest number below it, e.g. {sin: {sin: 0, cos: 0}}."
    )


class ArgumentTypePrior(Prior):
    """Operators whose arguments may only be some tokens."""

    tokens: Names = key([], "Operators that are limited.")
    allowed: Names = key("inputs", "What their arguments may be: tokens, or 'inputs'.")


class MutuallyExclusivePrior(Prior):
    """Tokens of which an expression may hold only one kind."""

    tokens: Names = key([], "Tokens that exclude each other.")


P = TypeVar("P")
OneOrSeveral = Annotated[
    Annotated[P, Tag("one")] | Annotated[list[P], Tag("several")],
    Discriminator(lambda value: "several" if isinstance(value, list) else "one"),
]


class Priors(Section):
    """What may be written: each prior is one instance, or a list of several.

    A key of the form ``module:Class`` is a prior of the user's own; its keys but ``on`` go to the
    constructor.
    """

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "additionalProperties": False,
            "patternProperties": {":": {"type": ["object", "array"]}},
        },
    )
    count_constraints: bool = key(False, "Count what each constraint masks.")
    relational: OneOrSeveral[RelationalPrior] = key(
        RelationalPrior(), "Targets may not be the relationship of effectors."
    )
    length: OneOrSeveral[LengthPrior] = key(LengthPrior(), "Least and greatest number of tokens.")
    repeat: OneOrSeveral[RepeatPrior] = key(RepeatPrior(), "How often tokens may occur.")
    inverse: OneOrSeveral[Prior] = key(Prior(), "No function right below its inverse.")
    trig: OneOrSeveral[Prior] = key(Prior(), "No trigonometric function below another.")
    const: OneOrSeveral[Prior] = key(Prior(), "No operator whose arguments are all 'const'.")
    no_inputs: OneOrSeveral[Prior] = key(Prior(), "At least one input in every expression.")
    uniform_arity: OneOrSeveral[Prior] = key(Prior(), "All arities equally likely before learning.")
    soft_length: OneOrSeveral[SoftLengthPrior] = key(
        SoftLengthPrior(), "A preference for lengths about loc."
    )
    domain_range: OneOrSeveral[Prior] = key(
        Prior(), "Only functions whose domain and range fit the data."
    )
    language_model: OneOrSeveral[LanguageModelPrior] = key(
        LanguageModelPrior(), "Likely tokens by a language model."
    )
    multi_discrete: OneOrSeveral[MultiDiscretePrior] = key(
        MultiDiscretePrior(), "Order of actions in environments with several discrete ones."
    )
    max_size: OneOrSeveral[MaxSizePrior] = key(MaxSizePrior(), "Greatest complexity.")
    max_depth: OneOrSeveral[MaxDepthPrior] = key(MaxDepthPrior(), "Greatest depth.")
    argument_size: OneOrSeveral[ArgumentSizePrior] = key(
        ArgumentSizePrior(), "Greatest complexity of each argument of an operator."
    )
    nesting: OneOrSeveral[NestingPrior] = key(
        NestingPrior(), "How often operators may occur below others."
    )
    argument_type: OneOrSeveral[ArgumentTypePrior] = key(
        ArgumentTypePrior(), "Operators whose arguments may only be some tokens."
    )
    all_inputs: OneOrSeveral[Prior] = key(Prior(), "Every input in every expression.")
    mutually_exclusive: OneOrSeveral[MutuallyExclusivePrior] = key(
        MutuallyExclusivePrior(), "Tokens that exclude each other."
    )

    @model_validator(mode="after")
    def _plug_ins(self) -> "Priors":
        for name, given in (self.model_extra or {}).items():
            if not is_reference(name):
                raise unknown("prior", name, type(self).model_fields)
            several = given if isinstance(given, list) else [given]
            if not all(isinstance(one, dict) for one in several):
                raise ValueError(f"'{name}' should be a dict of its arguments, or a list of them")
        return self


class Postprocess(Section):
    """The report at the end of the command line's runs."""

    show_count: CountOrZero = key(5, "Rows of the hall of fame and the Pareto front to print.")
    save_plots: bool = key(True, "Save plots of both.")


class Checkpoint(Section):
    """Saving the state of a run, and going on from it."""

    load_path: Text | None = key(None, "Checkpoint to start from.")
    save_freq: Positive | None = key(23.0, "Save after so many units; null = never.")
    units: Literal["hours", "minutes", "seconds", "iterations"] = key(
        "hours", "'hours', 'minutes', 'seconds' or 'iterations'."
    )
    save_on_done: bool = key(False, "Save when the run is done.")


PolicyUnion = Annotated[
    Annotated[Policy, Tag("built-in")] | Annotated[CustomPolicy, Tag("plug-in")],
    _plug_in_if("policy_type"),
]
PolicyOptimizerUnion = Annotated[
    Annotated[PolicyOptimizer, Tag("built-in")] | Annotated[CustomPolicyOptimizer, Tag("plug-in")],
    _plug_in_if("policy_optimizer_type"),
]


class Config(Section):
    """A config of dso."""

    experiment: Experiment = key(Experiment(), "Where results go, and the seed.")
    task: Task = key(RegressionTask(), "What is wanted.")
    training: Training = key(Training(), "Budget, risk filter, baseline and fit of constants.")
    logging: Logging = key(Logging(), "What is written beside the statistics of each iteration.")
    state_manager: StateManager = key(
        StateManager(), "What the policy sees of the expression so far."
    )
    policy: PolicyUnion = key(Policy(), "The network that writes expressions.")
    policy_optimizer: PolicyOptimizerUnion = key(PolicyOptimizer(), "How it learns from rewards.")
    gp_meld: GPMeld = key(GPMeld(), "Genetic programming seeded by the policy's samples.")
    semantic: Semantic = key(Semantic(), "Library of small expressions by their values.")
    prior: Priors = key(Priors(), "What may be written: one instance of each, or a list of them.")
    postprocess: Postprocess = key(Postprocess(), "The report at the end.")
    checkpoint: Checkpoint = key(Checkpoint(), "Saving the state of a run, and going on from it.")


_ON = {"on": True}
_USUAL_PRIORS = {
    "inverse": _ON,
    "trig": _ON,
    "const": _ON,
    "no_inputs": _ON,
    "uniform_arity": _ON,
    "soft_length": {"on": True, "loc": 10.0, "scale": 5.0},
}

TASK_DEFAULTS: dict[str, dict] = {
    "regression": {
        "task": RegressionTask.defaults(),
        "policy_optimizer": {
            "learning_rate": 0.0005,
            "entropy_weight": 0.03,
            "entropy_gamma": 0.7,
        },
        "prior": {
            "length": {"on": True, "min_": 4, "max_": 64},
            "repeat": {"on": True, "tokens": "const", "min_": None, "max_": 3},
            **_USUAL_PRIORS,
        },
    },
    "control": {
        "task": ControlTask.defaults(),
        "training": {
            "n_samples": 200_000,
            "batch_size": 200,
            "epsilon": 0.1,
            "early_stopping": False,
        },
        "logging": {"hof": None, "save_pareto_front": False},
        "policy_optimizer": {
            "learning_rate": 0.001,
            "entropy_weight": 0.01,
            "entropy_gamma": 0.85,
        },
        "prior": {"length": {"on": True, "min_": 4, "max_": 30}, **_USUAL_PRIORS},
    },
}
"""What the built-in tasks change of the common defaults; a task of one's own changes nothing."""


def common_defaults() -> dict:
    """Return the defaults of every section that do not depend on the task."""
    return plain(Config.defaults() | {"task": {"task_type": None}})  # type: ignore[return-value]


def model_at(path: list, config: dict) -> type[Section]:
    """Return the model of the dict at a place in the config."""
    model: type[Section] = Config
    for step in path:
        if step == "task" and task_kind(config.get("task")) == "control":
            model = ControlTask
        elif step == "dataset":
            model = BenchmarkDataset
        elif isinstance(step, str):
            model = type(model.model_fields[step].default)
    return model


def section_of(name: str) -> str | None:
    """Return the section that has a key of this name, or None."""
    sections = Config.model_fields.items()
    return next((s for s, field in sections if name in type(field.default).model_fields), None)
