"""The sections other than task and prior: every key with its default, meaning and range."""

from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from dso.config.base import (
    WHOLE,
    Count,
    CountOrZero,
    FolderName,
    Int,
    Level,
    NonNegative,
    PathText,
    Positive,
    PositiveShare,
    Reference,
    Section,
    Share,
    Size,
    key,
    run_time_key,
)
from dso.config.plain import merge
from dso.config.wording import describe
from dso.errors import UserError
from dso.plugins import is_reference

# Arguments of scipy.optimize.minimize, to which const_params goes with const_optimizer "scipy".
SCIPY_ONLY = ("method", "jac", "hess", "hessp", "constraints", "tol", "callback", "options")


class Experiment(Section):
    """Where results go, and the seed."""

    logdir: PathText | None = key(
        "./logs", "Folder that run folders are made in; null writes no file."
    )
    exp_name: FolderName | None = key(None, "Name of the run folder; null = task name and time.")
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
    runs: Int | None = run_time_key()


class ConstantFit(Section):
    """`training.const_params` of const_optimizer 'lm'."""

    bounds: list[float | None] | list[list[float | None]] | None = key(
        None, "[low, high] of every constant, or a pair for each; null = no bound."
    )
    n_starts: Annotated[int, Field(ge=1, le=1000), WHOLE] = key(1, "Start points of the fit.")
    max_iterations: Annotated[int, Field(ge=1, le=10_000), WHOLE] = key(
        50, "Limit of steps per start."
    )
    snap: Literal["integer", "rational"] | None = key(
        None,
        "Round constants to integers, or to fractions with denominators up to 12, where the fit "
        "is as good with them.",
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

    n_samples: CountOrZero = key(
        2_000_000,
        "Budget of evaluations; the run ends when it is used up. 0 = what `pretrained` proposes.",
    )
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
    complexity: Literal["token", "length", "exp_token", "exp_length"] | None = key(
        "token",
        "Size in the Pareto front: sum over 'token' values, 'length', or null = 0; with exp_, that "
        "of exp(f), for a y that is a logarithm.",
    )
    parsimony: NonNegative = key(
        0.0,
        "What a step of complexity costs, in units of the reward, where programs compete: in the "
        "risk filter and as parents of GP-meld. What is kept has its reward without it.",
    )
    warmup: Share | None = key(
        None,
        "Share of n_samples in which the greatest size grows from 3 to that of the priors "
        "max_size, or length; null = that size is allowed from the start.",
    )
    const_optimizer: Literal["lm", "scipy", "dummy"] | None = key(
        "lm",
        "Fit of 'const': 'lm' our Levenberg-Marquardt, 'scipy' scipy.optimize.minimize (slow), "
        "'dummy' or null leave 1.0.",
    )
    const_params: dict[str, Any] = key(
        {},
        "Options of the fit. lm: bounds null, n_starts 1, max_iterations 50, snap null; scipy: "
        "arguments of scipy.optimize.minimize, method 'L-BFGS-B' and options {gtol: 1e-3} if "
        "absent. See docs/constants.md.",
    )
    max_seconds: Positive | None = key(None, "Stop after this many seconds of wall time.")
    max_megabytes: Positive | None = key(
        None,
        "Stop once the process takes more memory than this, in 10^6 bytes. Each worker process has "
        "the limit for itself.",
    )
    reward_threshold: float | None = key(None, "Stop once the best reward reaches it.")
    patience: Count | None = key(None, "Stop after this many iterations without a better reward.")
    early_stopping: bool = key(True, "Stop once the best expression is a success.")
    verbose: bool = key(True, "Show progress.")
    debug: Level = key(0, "Print parameter statistics: 1 at the start of steps, 2 at the end too.")
    use_memory: bool = key(False, "Memory-augmented quantile.")
    memory_capacity: Count = key(1000, "Items in the memory.")
    warm_start: Annotated[int, Field(ge=0, le=10_000_000), WHOLE] | None = key(
        None, "Samples that fill the memory first; null = batch_size."
    )
    memory_threshold: Share | None = key(
        None, "Share of probability in the memory above which a warning is given, once."
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
    """Files in addition to the statistics of each iteration."""

    save_all_iterations: bool = key(False, "Reward, length and validity of every sample.")
    save_summary: bool = key(
        False,
        "TensorBoard events: losses, reward, baseline, histograms of rewards and lengths.",
    )
    save_positional_entropy: bool = key(False, "Entropy of the tokens at each position.")
    save_pareto_front: bool = key(True, "The Pareto front of reward against complexity.")
    save_cache: bool = key(False, "Every expression with its reward and counts, at the end.")
    save_cache_r_min: float | None = key(0.9, "Least reward for save_cache; null = all.")
    save_freq: Annotated[int, Field(ge=-1, le=10**9), WHOLE] | None = key(
        1, "Write to disk every this many iterations; null = 1; below 1 = at the end only."
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
    debug: Level = key(0, "From 1: print shape and size of every parameter of the policy.")


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
    summary: bool = key(
        False,
        "With logging.save_summary: adds the gradient norm and histograms of every parameter and "
        "its gradient.",
    )
    learning_rate: Annotated[float, Field(ge=0, le=1000)] = key(
        0.001, "Step size; 0 = the policy learns nothing."
    )
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
    debug: Level = key(0, "From 1: print shape and size of every parameter of the policy.")


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
    verbose: bool = key(False, "A line of the log for every generation.")
    generations: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] = key(
        20, "Generations per iteration."
    )
    population_size: Annotated[int, Field(ge=1, le=10_000_000), WHOLE] | None = key(
        None,
        "Individuals on all islands together, seeded by the batch; null = training.batch_size.",
    )
    p_crossover: Share = key(0.5, "Probability that an offspring is crossed with a second parent.")
    p_mutate: Share = key(
        0.5, "Probability that an offspring is mutated; one that would be a copy is varied too."
    )
    tournament_size: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] = key(
        5, "Individuals that compete to be a parent."
    )
    train_n: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] = key(
        50, "Best offspring, each once, that join the batch that trains the policy."
    )
    mutate_tree_max: Annotated[int, Field(ge=0, le=30), WHOLE] = key(
        3, "Greatest depth of a subtree made by mutation."
    )
    crossover_operator: Literal["cxOnePoint"] = key(
        "cxOnePoint", "A random subtree of the second parent takes the place of one of the first."
    )
    mutation_operator: Literal["multi_mutate"] = key(
        "multi_mutate", "One of subtree, replacement, insertion, shrink."
    )
    parallel_eval: bool = key(False, "Use all cores, as training.n_cores_batch = -1 does.")
    ind_representation: str = key("", "Kept for old files; without effect.")
    n_attempts: Annotated[int, Field(ge=1, le=1000), WHOLE] = key(
        8, "Attempts at an offspring that is new and obeys all priors; after them it is given up."
    )
    p_join: Share = key(
        0.0, "Share of insertions whose other arguments are subtrees of a mate, not terminals."
    )
    p_perturb: Share = key(
        0.1, "Share of mutations that change a fitted constant, where a program has one."
    )
    p_fit: Share = key(
        1.0, "Share of offspring whose constants are fitted again; others keep their parents'."
    )
    p_archive: Share = key(
        0.0,
        "Probability that a parent comes from the Pareto front of reward and complexity, so that "
        "small programs survive; 0 keeps no front.",
    )
    p_semantic: Share = key(
        0.0,
        "Share of offspring that are solved for: an expression from a library of values replaces a "
        "subtree that should have other values. Look-ups count as evaluations.",
    )
    semantic_entries: Annotated[int, Field(ge=1, le=100_000_000), WHOLE] = key(
        30_000, "Expressions in that library, about 95 bytes each."
    )
    semantic_partners: CountOrZero = key(
        2,
        "Cheapest entries that are joined with another where no entry has the values wanted: four "
        "look-ups each.",
    )
    keep_population: bool = key(
        False,
        "The population lives on, and each batch competes with it; otherwise each iteration starts "
        "from its batch alone.",
    )
    n_islands: Annotated[int, Field(ge=1, le=10_000), WHOLE] = key(
        1, "Parts of the population that breed among themselves."
    )
    migration_interval: Count = key(10, "Generations between two migrations.")
    n_migrants: CountOrZero = key(
        2, "Best individuals of an island that are copied to the next one; 0 = no migration."
    )
    restart_after: Count | None = key(
        None,
        "Generations without a better reward after which an island starts again from the batch; "
        "null = never.",
    )
    probe_size: CountOrZero = key(
        8,
        "Rows of data on which programs are compared: of those with equal values only one is kept; "
        "0 compares their tokens.",
    )

    @model_validator(mode="before")
    @classmethod
    def _no_binding(cls, section: object) -> object:
        gone = {
            "crossover_operator": "cxModifiedPMX",
            "mutation_operator": "multi_constrained_mutate",
        }
        given = section if isinstance(section, dict) else {}
        for name, value in gone.items():
            if given.get(name) == value:
                allowed = cls.model_fields[name].default
                raise ValueError(
                    f"{name} {value!r} belongs to the task 'binding', which does not exist; "
                    f"allowed: {allowed!r}"
                )
        return section

    @model_validator(mode="after")
    def _islands_have_room(self) -> "GPMeld":
        size = self.population_size
        if size is not None and self.n_islands > size:
            raise ValueError(
                f"n_islands ({self.n_islands}) is greater than population_size ({size})"
            )
        return self


def _check_part(part: int, n_parts: int) -> None:
    if part >= n_parts:
        raise ValueError(f"part ({part}) is not less than n_parts ({n_parts})")


class Semantic(Section):
    """Search by values, before the first iteration."""

    on: bool = key(False, "Whether to search.")
    max_share: Share = key(
        0.5, "Share of training.n_samples that the search may use up: its evaluations count."
    )
    per_sample: Count = key(
        1, "Evaluations of the search that count as one of training.n_samples; they are cheap."
    )
    max_entries: Annotated[int, Field(ge=1, le=100_000_000), WHOLE] = key(
        300_000, "Expressions in the library, about 95 bytes each; one of 30 000 is tried first."
    )
    max_bytes: Annotated[int, Field(ge=10_000, le=2**62), WHOLE] | None = key(
        None, "Limit of the library's memory, which limits the entries; null = none."
    )
    max_vectors: CountOrZero = key(50_000_000, "Candidates computed.")
    max_lookups: CountOrZero = key(200_000_000, "Look-ups in the library.")
    max_contexts: Annotated[int, Field(ge=1, le=10_000_000), WHOLE] = key(
        12_000, "Parts of an expression that are solved for."
    )
    max_programs: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] = key(
        50, "Programs that join the first batch if none is exact; otherwise only that one does."
    )
    max_seconds: Positive | None = key(
        None,
        "Seconds of wall time; a run that this limit cuts off cannot be repeated exactly.",
    )
    part: CountOrZero = key(
        0, "Which part of the search is done here, the first being 0; islands set it."
    )
    n_parts: Count = key(
        1, "Parts that the search is dealt out in; each has its share of contexts and limits."
    )

    @model_validator(mode="after")
    def _part_exists(self) -> "Semantic":
        _check_part(self.part, self.n_parts)
        return self


class Pretrained(Section):
    """A network that has seen many equations and proposes some, before the first iteration."""

    on: bool = key(False, "Whether to ask it, unless the search by values has solved the task.")
    weights: PathText | None = key(
        None, "File of weights that scripts/pretrain.py wrote; null = those that ship with dso."
    )
    n_candidates: Annotated[int, Field(ge=1, le=100_000), WHOLE] = key(
        128, "Skeletons that it writes, whose numbers are then fitted."
    )
    method: Literal["beam", "sample"] = key(
        "beam", "'beam' takes the most likely ones, 'sample' draws them without replacement."
    )
    imitation_steps: CountOrZero = key(
        20, "Gradient steps in which the policy imitates the candidates before it first draws."
    )
    imitation_rate: Positive = key(0.03, "Learning rate of these steps.")
    advice_weight: NonNegative = key(
        0.0, "Weight of its log-probabilities among the logits of the policy, at first; 0 = none."
    )
    advice_iterations: Count = key(
        20, "Iterations until that weight has fallen to 0, along a line; each takes seconds."
    )
    part: CountOrZero = key(
        0, "Which part of the candidates is asked for here, the first being 0; islands set it."
    )
    n_parts: Count = key(1, "Parts that the candidates are dealt out in.")

    @model_validator(mode="after")
    def _part_exists(self) -> "Pretrained":
        _check_part(self.part, self.n_parts)
        return self


class Islands(Section):
    """One search as several that exchange their best programs, in processes of their own."""

    n: Annotated[int, Field(ge=1, le=10_000), WHOLE] = key(
        1,
        "Searches; they share training.n_samples. The result depends on this number, not on the "
        "processes that do them. gp_meld.n_islands are parts of the population within each.",
    )
    interval: Count = key(
        10,
        "Iterations of each search between two exchanges, but for the first ones, which come after "
        "1, 2, 4 and so on.",
    )
    n_migrants: CountOrZero = key(
        5, "Best programs of a search that others get, besides its Pareto front; 0 = none at all."
    )
    topology: Literal["ring", "all"] = key(
        "ring", "'ring': each search gets those of the one before it; 'all': of all others."
    )
    portfolio: list[dict[str, Any]] | Literal["auto"] = key(
        [],
        "How the searches differ: dicts from 'section.key' to a value, dealt out in turn. Their "
        "function sets may only leave out tokens of task.function_set. 'auto': all functions, none "
        "of sin, cos and tan, none of exp and log, neither.",
    )


class Reduce(Section):
    """What the data say of the form of y, and searches for the smaller problems that are left."""

    on: bool = key(
        False,
        "Whether a model of the data is asked for reductions; needs rewards that are squared "
        "errors on data.",
    )
    after: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] = key(
        3,
        "Iterations that the search for y has for itself first. After these, three times and nine "
        "times as many and so on, searches for smaller problems catch up with it. Those of all "
        "islands count together.",
    )


class Finishing(Section):
    """The last mile of programs on the Pareto front."""

    on: bool | None = key(
        None,
        "Whether programs on the front are fitted from several starts, plainer forms of them are "
        "looked for, and constants are rounded at the end; null = in `DeepSymbolicRegressor` only. "
        "Needs rewards that are squared errors on data.",
    )
    max_share: Share = key(0.1, "Share of the run's time that it may take before the end, roughly.")
    snap: bool = key(
        True,
        "Whether constants become whole numbers, fractions, multiples of pi and the like at the "
        "end, where the data allow it.",
    )


class Postprocess(Section):
    """The report at the end of the command line's runs."""

    show_count: CountOrZero = key(5, "Rows of hall of fame and front to print; 0 for none.")
    save_plots: bool = key(True, "Save plots of both, where matplotlib is installed.")


class Checkpoint(Section):
    """Saving the state of a run, and continuing from it."""

    load_path: PathText | None = key(None, "Checkpoint to start from.")
    save_freq: Positive | None = key(23.0, "Save after this many units; null = never.")
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
