"""Whatever shapes, types and values the native core is handed, it answers or refuses in words.

`scripts/check_sanitizers.sh` runs these too, where a read outside an array ends the process. The
slow ones make 100 000 calls; DSO_HOSTILE_CALLS is how many of each kind, 25 000 for a million.
"""

import os
import random

import numpy as np
import pytest

from dso.library import Library, create_tokens
from dso.native import _core
from dso.policy import RNNPolicy, StateManager
from dso.prior import make_joint_prior

LIBRARY = Library(create_tokens(2, ["add", "mul", "sin", "log", "const", 1.5]))
L, B, T, N = LIBRARY.L, 3, 5, 7
PRIOR = make_joint_prior({"length": {"on": True, "min_": 1, "max_": T}}, LIBRARY, max_length=T)
POLICY = RNNPolicy(LIBRARY, PRIOR, state_manager=StateManager(True, True, True, True))
NETWORK = POLICY._network(POLICY._network_parameters())
OBSERVATION = StateManager(True, True, True, True).observation(LIBRARY)
ADD, SIN = LIBRARY.names.index("add"), LIBRARY.names.index("sin")
X1, CONST = LIBRARY.names.index("x1"), LIBRARY.names.index("const")
TOKENS = np.array(
    [[ADD, X1, CONST, -1, -1], [SIN, X1, -1, -1, -1], [ADD, X1, SIN, X1, -1]], np.int16
)
LENGTHS = np.array([3, 2, 4], np.int32)
CONSTANTS = np.array([[0.5], [np.nan], [np.nan]])
COLUMNS = np.linspace(0.1, 1.0, 2 * N).reshape(2, N)
Y = np.linspace(1.0, 2.0, N)
MASK = np.zeros(L, dtype=bool)
MASK[SIN] = True
PROGRAMS = _core.Programs(TOKENS, LENGTHS, CONSTANTS)
FEATURES, SLOTS, LOGITS, _ = _core.replay32(PRIOR.rules, OBSERVATION, PROGRAMS)
KEYS = np.array([0, 1, 2**64 - 1], np.uint64)
ARRAYS = (TOKENS, LENGTHS, CONSTANTS, COLUMNS, Y, np.ones(N))

LEAF = _core.Library([0], [_core.OP_INPUT], [0], [0.0])
GROWTH = {
    "max_entries": 100, "max_vectors": 1000, "max_cost": 3,
    "shared_part": 1.0, "subsets": [],
}  # fmt: skip
VALUES = _core.ValueLibrary(
    [_core.Form(_core.OP_INPUT, 0, 1, [X1], values=COLUMNS[0, :4], input=0)],
    _core.Arithmetic(),
    PRIOR.rules,
    bits=18,
    growth=_core.Growth(**GROWTH),
)


def rules():
    return _core.RuleSet(np.asarray(LIBRARY.arities).tolist())


def cache():
    filled = _core.RewardCache(2**16)
    filled.insert(KEYS, np.ones(3), np.zeros(3, np.uint8), np.zeros(3, np.int32), 1, CONSTANTS)
    return filled


def steps(features, slots):
    return NETWORK.start(B).step(features, slots)


def require_ancestors(targets, groups):
    made = rules()
    made.forbid_descendant(MASK, MASK)
    made.require_ancestors(targets, groups)


def choose(key, rows, attempt, n_positions, logits):
    stepper = _core.Stepper32(PRIOR.rules, key, rows, attempt, n_positions)
    stepper.observe(OBSERVATION)
    return stepper.choose(logits)


def backward(d_log_prob, d_entropy):
    *_, forward_pass = NETWORK.forward(PROGRAMS, FEATURES, SLOTS, LOGITS)
    return forward_pass.backward(d_log_prob, d_entropy)


def call(function, *options):
    """Return what calls it with programs and data made of arrays."""

    def made(tokens, lengths, constants, columns, y, weights, protected, *rest):
        programs = _core.Programs(tokens, lengths, constants)
        data = _core.Data(columns, y, weights, protected)
        named = dict(zip(options, rest, strict=True))
        return function(LIBRARY.native, programs, data, **named)

    return made


def of_programs(function, *before):
    """Return what calls it with programs made of arrays."""
    return lambda tokens, lengths: function(*before, _core.Programs(tokens, lengths))


def forward(tokens, lengths, features, slots, logits):
    return NETWORK.forward(_core.Programs(tokens, lengths), features, slots, logits)


def breed(tokens, lengths, offsets, rows, groups, key, n_positions, n_constants):
    options = _core.BreedOptions(
        p_crossover=0.5, p_mutate=0.5, p_perturb=0.1, p_join=0.0, p_archive=0.0,
        tournament_size=2, mutate_tree_max=2, n_attempts=2,
    )  # fmt: skip
    parents = _core.Parents(_core.Programs(tokens, lengths), offsets)
    return _core.breed(
        LIBRARY.native, PRIOR.rules, parents, options, rows=rows, groups=groups, key=key,
        first_attempt=0, n_positions=n_positions, n_constants=n_constants,
    )  # fmt: skip


def search(target, sample, sample_y, columns, y):
    made = _core.SemanticSearch(
        VALUES, LIBRARY.native, PRIOR.rules, target, _core.Data(sample, sample_y),
        _core.Data(columns, y), tolerance=1e-9, max_contexts=10, first_partners=1,
        second_partners=1, max_cost=2,
    )  # fmt: skip
    return made.run_layer(1, 100, 10, None)


def play(states, observations, parameters, max_steps):
    composition = _core.Composition(
        kind="box", sources=[-1], low=[-2.0], high=[2.0], is_single=True, n_observations=3
    )
    return _core.rollout(
        system="Pendulum", parameters=parameters, composition=composition, library=LEAF,
        programs=_core.Programs(np.zeros((1, 1), np.int16), [1]),
        starts=_core.Starts(states, observations), max_steps=max_steps, n_threads=2,
    )  # fmt: skip


def load(**columns):
    cache().load_state({**cache().state(), **columns})


def load_columns(keys, rewards, causes, constants):
    load(keys=keys, rewards=rewards, causes=causes, constants=constants)


CALLS = {
    "keys": (of_programs(_core.Programs.keys), (TOKENS, LENGTHS)),
    "execute": (call(_core.execute, "n_threads"), (*ARRAYS, False, 2)),
    "mean_squared_error": (call(_core.mean_squared_error, "n_threads"), (*ARRAYS, False, 2)),
    "fraction_within": (
        call(_core.fraction_within, "relative", "absolute", "n_threads"),
        (*ARRAYS, True, 0.1, 0.1, 1),
    ),
    "fit_constants": (
        call(_core.fit_constants, "lower", "upper", "max_iterations", "n_starts", "key"),
        (*ARRAYS, False, CONSTANTS - 1, CONSTANTS + 1, 5, 2, 3),
    ),
    "invert_programs": (
        call(_core.invert_programs, "positions"),
        (*ARRAYS, False, np.array([1, 1, 2], np.int32)),
    ),
    "PolynomialBasis": (
        _core.PolynomialBasis,
        (np.array([[0, 0], [1, 0]], np.int32), np.ones((N, 2)), np.ones((2, 2)), np.ones(2)),
    ),
    "polynomial_values": (
        _core.polynomial_values,
        (np.array([[0, 0], [1, 2]], np.int32), np.ones(2), COLUMNS),
    ),
    "partials": (_core.partials, (0, Y, Y, Y)),
    "Library": (
        _core.Library,
        (np.array([0]), np.array([_core.OP_INPUT]), np.array([0]), np.array([0.0])),
    ),
    "first_rows": (_core.first_rows, (KEYS,)),
    "lookup": (lambda *a: cache().lookup(*a), (KEYS,)),
    "insert": (
        lambda *a: cache().insert(*a),
        (KEYS, np.ones(3), np.zeros(3, np.uint8), np.zeros(3, np.int32), 1, CONSTANTS),
    ),
    "count": (lambda *a: cache().count(*a), (KEYS, np.ones(3, bool))),
    "counts": (lambda *a: cache().counts(*a), (KEYS,)),
    "load_state": (load_columns, (KEYS, np.ones(3), np.zeros(3, np.uint8), CONSTANTS)),
    "KeySet": (lambda *a: _core.KeySet().insert(*a), (KEYS,)),
    "contains": (lambda *a: _core.KeySet().contains(*a), (KEYS,)),
    "RuleSet": (_core.RuleSet, ([0, 1, 2],)),
    "forbid_child": (lambda *a: rules().forbid_child(*a), (MASK, MASK, True, True)),
    "forbid_first": (lambda *a: rules().forbid_first(*a), (MASK,)),
    "limit_nesting": (lambda *a: rules().limit_nesting(*a), (MASK, MASK, 1)),
    "require_ancestors": (require_ancestors, (MASK, [0])),
    "limit_depth": (lambda *a: rules().limit_depth(*a), (3,)),
    "limit_size": (
        lambda *a: rules().limit_size(*a),
        ([1] * L, 9, np.full((L, 2), 5, np.int32)),
    ),
    "limit_count": (lambda *a: rules().limit_count(*a), (MASK, 1, MASK)),
    "require_count": (lambda *a: rules().require_count(*a), (MASK, 1)),
    "limit_length": (lambda *a: rules().limit_length(*a), (1, 5)),
    "look_ahead_to": (lambda *a: rules().look_ahead_to(*a), (5,)),
    "add_logits": (lambda *a: rules().add_logits(*a), ([0.0] * L,)),
    "add_context_logits": (
        lambda *a: rules().add_context_logits(*a),
        ([0] * (L + 1), [0] * (L + 1), np.zeros((1, 1, L))),
    ),
    "add_soft_length": (lambda *a: rules().add_soft_length(*a), (3.0, 1.0)),
    "mask_counts": (of_programs(PRIOR.rules.mask_counts), (TOKENS, LENGTHS)),
    "violations": (of_programs(PRIOR.rules.violations), (TOKENS, LENGTHS)),
    "Observation": (_core.Observation, (0, L, 2 * L, True, [0] * L, 1)),
    "replay32": (of_programs(_core.replay32, PRIOR.rules, OBSERVATION), (TOKENS, LENGTHS)),
    "Network32": (
        _core.Network32,
        ("lstm", [p.detach().numpy() for p in POLICY._network_parameters()], 0.0),
    ),
    "sample": (NETWORK.sample, (PRIOR.rules, OBSERVATION, 1, 4, T, 2, 0)),
    "forward": (forward, (TOKENS, LENGTHS, FEATURES, SLOTS, LOGITS)),
    "backward": (backward, (np.ones((B, T), np.float32), np.ones((B, T), np.float32))),
    "step": (steps, (FEATURES[:, 0], SLOTS[:, 0])),
    "choose": (choose, (1, [0, 1, 2], 0, T, LOGITS[:, 0])),
    "breed": (
        breed,
        (TOKENS, LENGTHS, [0, 2, 3], np.arange(2, dtype=np.uint32), np.zeros(2, np.int32), 1, 8, 2),
    ),
    "search": (search, (Y[:4], COLUMNS[:, :5], Y[:5], COLUMNS, Y)),
    "rollout": (play, (np.zeros((2, 2)), np.zeros((2, 3)), np.ones(6), 5)),
}
REFUSALS = (ValueError, TypeError, OverflowError, IndexError, MemoryError)


def refused(error):
    """Assert that an error says something."""
    assert str(error)


EXTREMES = [-(2**31), -1, 0, 1, L, 2**15 - 1, 2**31 - 1, np.nan, np.inf, -np.inf]
DTYPES = ["f4", "f8", "i2", "i4", "i8", "u8", "bool", "complex128", "O", "S3", "datetime64[s]"]
SCALARS = [-1, 0, 1, 2, 2**15, 2**31 - 1, -(2**31), 2**62, 2**70, 1.5, np.nan, None, "x", [], True]


def reshaped(array, dice):
    return np.resize(array, [dice.randint(0, 8) for _ in range(dice.randint(0, 4))])


def retyped(array, dice):
    try:
        return array.astype(dice.choice(DTYPES))
    except (TypeError, ValueError):
        return np.zeros(array.shape, "O")


def filled(array, dice):
    value = dice.choice(EXTREMES)
    try:
        return np.full(array.shape, value, array.dtype)
    except (OverflowError, ValueError):
        return np.full(array.shape, value)


def spiked(array, dice):
    changed = np.array(array, copy=True)
    if changed.size:
        try:
            changed.reshape(-1)[dice.randrange(changed.size)] = dice.choice(EXTREMES)
        except (OverflowError, ValueError):
            return filled(array, dice)
    return changed


def turned(array, dice):
    return dice.choice([array.T, array[::-1], array[:0], array[..., None], None, "x", 3])


def wrong_array(array, dice):
    """Return an array that is wrong in one way."""
    return dice.choice([reshaped, retyped, filled, spiked, turned])(array, dice)


def wrong(value, dice):
    """Return something else in place of an argument."""
    if isinstance(value, np.ndarray):
        return wrong_array(value, dice)
    if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
        i = dice.randrange(len(value))
        one = [*value[:i], wrong_array(value[i], dice), *value[i + 1 :]]
        short = [value[:-1], value + value[-1:], [], [value[-1]] * len(value)]
        return dice.choice([one, dice.choice(short)])
    if isinstance(value, list):
        others = [dice.choice(SCALARS) for _ in range(dice.randint(0, 8))]
        return dice.choice([others, dice.choice(SCALARS), value * 3])
    return dice.choice(SCALARS)


# A number that stands for rows to make: what is asked for is made.
SIZES = {
    ("sample", 3), ("sample", 4), ("choose", 3), ("breed", 6), ("breed", 7), ("rollout", 3),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_the_right_arguments_are_right(name):
    call, arguments = CALLS[name]
    call(*arguments)


def check(name, dice):
    """Change one or two arguments of a call, which then answers or refuses."""
    call, arguments = CALLS[name]
    changed = list(arguments)
    for _ in range(dice.randint(1, 2)):
        i = dice.randrange(len(changed))
        value = wrong(arguments[i], dice)
        is_size = (name, i) in SIZES and isinstance(value, int) and 2**15 < value < 2**40
        changed[i] = 8 if is_size else value
    try:
        call(*changed)
    except REFUSALS as error:
        refused(error)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", sorted(name for name in vars(_core) if callable(getattr(_core, name)))
)
def test_nothing_is_not_an_object(name):
    """None in every place, where a pointer would be followed."""
    for n_arguments in range(25):
        try:
            getattr(_core, name)(*[None] * n_arguments)
        except REFUSALS as error:
            refused(error)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
def test_wrong_arguments_are_refused_or_answered(name):
    dice = random.Random(name)
    for _ in range(20):
        check(name, dice)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
def test_many_wrong_arguments_are_refused_or_answered(name):
    dice = random.Random(f"many {name}")
    for _ in range(int(os.environ.get("DSO_HOSTILE_CALLS", "2500"))):
        check(name, dice)
