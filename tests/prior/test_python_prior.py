"""Priors that are called from Python: what they see, what they may return, and their effect."""

import numpy as np
import pytest
import torch

from dso.errors import UserError
from dso.library import Library, create_tokens
from dso.policy import RNNPolicy
from dso.prior import Constraint, Prior, make_joint_prior
from dso.prior.joint_prior import JointPrior
from dso.program.program_batch import ProgramBatch
from dso.streams import Stream
from tests.reference_policy import observe

LIBRARY = Library(create_tokens(2, ["add", "mul", "sin", "exp"]))
LENGTH = {"length": {"on": True, "min_": 3, "max_": 12}}
STREAM = Stream(0, "policy")


class NoDoubleSine(Constraint):
    """Forbid sin right after sin; first tokens are free."""

    def __init__(self, library, word="sin"):
        super().__init__(library)
        self.token = library.index(word)

    def __call__(self, actions, parent, sibling, dangling):
        return self.make_constraint(actions[:, -1] == self.token, [self.token])


class FirstIsMul:
    """No base class: only what is needed."""

    def __init__(self, library):
        self.library = library

    def __call__(self, actions, parent, sibling, dangling):
        return np.zeros((len(actions), self.library.L))

    def initial_prior(self):
        return np.where(np.arange(self.library.L) == self.library.index("mul"), 0.0, -np.inf)


class Recorder(Prior):
    """Remember what was seen."""

    def __init__(self, library):
        super().__init__(library)
        self.seen = []

    def __call__(self, actions, parent, sibling, dangling):
        self.seen.append([np.array(a) for a in (actions, parent, sibling, dangling)])
        return self.init_zeros(actions)


class Returning(Prior):
    def __init__(self, library, value):
        super().__init__(library)
        self.value = value

    def __call__(self, actions, parent, sibling, dangling):
        return self.value(len(actions), self.L)


def joint(*priors) -> JointPrior:
    built_in = make_joint_prior(LENGTH, LIBRARY, max_length=12)
    return JointPrior(LIBRARY, [*built_in.priors, *priors], max_length=12)


def policy_with_weights(prior: JointPrior, **options) -> RNNPolicy:
    policy = RNNPolicy(LIBRARY, prior, **options)
    random = np.random.default_rng(0)
    with torch.no_grad():
        for p in policy.parameters():
            p += torch.from_numpy(0.3 * random.normal(size=tuple(p.shape))).to(p.dtype)
    return policy


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_stepping_draws_what_the_fused_loop_draws(cell):
    fused = policy_with_weights(joint(), cell=cell).sample(300, STREAM)
    stepped = policy_with_weights(joint(Recorder(LIBRARY)), cell=cell).sample(300, STREAM)
    np.testing.assert_array_equal(fused.programs.tokens, stepped.programs.tokens)


def test_a_constraint_holds_in_samples_and_is_counted_in_probabilities():
    prior = joint(NoDoubleSine(LIBRARY))
    policy = policy_with_weights(prior)
    programs = policy.sample(500, STREAM).programs
    sin = LIBRARY.index("sin")
    pairs = (programs.tokens[:, :-1] == sin) & (programs.tokens[:, 1:] == sin)
    assert not pairs.any()
    replay = policy.replay(programs)
    assert replay.allowed.all()
    after_sin = np.argwhere(programs.tokens == sin)[0]
    row, position = after_sin
    assert np.isneginf(replay.prior[row, position + 1, sin])
    log_prob, _ = policy.log_prob_and_entropy(replay)
    assert torch.isfinite(log_prob).all()


def test_given_programs_are_judged_by_it():
    prior = joint(NoDoubleSine(LIBRARY))
    rows = ["sin,sin,x1", "sin,exp,x1", "add,sin,x1,sin,sin,x2"]
    programs = ProgramBatch.from_rows([LIBRARY.actionize(row) for row in rows])
    np.testing.assert_array_equal(prior.allowed(programs), [False, True, False])
    violations = prior.violations(programs)
    np.testing.assert_array_equal(violations["NoDoubleSine"], [True, False, True])
    assert not violations["LengthConstraint"].any()


def test_the_first_token_follows_initial_prior_and_no_base_class_is_needed():
    programs = policy_with_weights(joint(FirstIsMul(LIBRARY))).sample(100, STREAM).programs
    assert (programs.tokens[:, 0] == LIBRARY.index("mul")).all()


def test_it_sees_the_traversal_of_each_row():
    recorder = Recorder(LIBRARY)
    programs = policy_with_weights(joint(recorder)).sample(20, STREAM).programs
    parents = [t for t in range(LIBRARY.L) if LIBRARY.arities[t]]
    for t, (actions, parent, sibling, dangling) in enumerate(recorder.seen, start=1):
        assert actions.shape == (20, t)
        for b in range(20):
            if programs.lengths[b] <= t:
                continue
            row = programs.row(b)[:t].tolist()
            _, up, left, n_open = observe(row, LIBRARY.arities)
            assert actions[b].tolist() == row
            assert parent[b] == (len(parents) if up is None else parents.index(up))
            assert sibling[b] == (LIBRARY.L if left is None else left)
            assert dangling[b] == n_open


def test_a_replay_asks_once_per_position():
    recorder = Recorder(LIBRARY)
    policy = policy_with_weights(joint(recorder))
    programs = ProgramBatch.from_rows([LIBRARY.actionize("add,x1,sin,x2")])
    assert policy.replay(programs).allowed.all()
    assert len(recorder.seen) == 3  # the first position is initial_prior's


def test_dead_ends_are_drawn_again_in_a_further_round():
    class OnlySineBelowSine(Prior):
        def __call__(self, actions, parent, sibling, dangling):
            logits = np.zeros((len(actions), self.L))
            sin = self.library.index("sin")
            logits[actions[:, -1] == sin] = -np.inf
            return logits

    batch = policy_with_weights(joint(OnlySineBelowSine(LIBRARY))).sample(100, STREAM)
    assert batch.withdrawn > 10
    assert not (batch.programs.tokens == LIBRARY.index("sin")).any()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda n, L: np.full((n, L), np.nan), r"Returning.__call__ returned NaN"),
        (lambda n, L: np.full((n, L), np.inf), r"Returning.__call__ returned NaN or \+inf"),
        (lambda n, L: np.zeros((n, L + 1)), r"Returning.__call__ returned shape"),
    ],
)
def test_wrong_answers_are_errors_that_name_the_class(value, message):
    policy = policy_with_weights(joint(Returning(LIBRARY, value)))
    with pytest.raises(UserError, match=message):
        policy.sample(5, STREAM)


def test_finished_rows_may_be_answered_with_anything():
    class OverOpenSlots(Prior):
        def __call__(self, actions, parent, sibling, dangling):
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.zeros((len(actions), self.L)) / dangling[:, None]

    prior = joint(OverOpenSlots(LIBRARY))
    policy = policy_with_weights(prior)
    programs = policy.sample(50, STREAM).programs
    assert len(set(programs.lengths.tolist())) > 1
    assert policy.replay(programs).allowed.all()


def test_a_config_names_it_by_module_or_file(tmp_path):
    section = {**LENGTH, "tests.prior.test_python_prior:NoDoubleSine": {"on": True, "word": "exp"}}
    prior = make_joint_prior(section, LIBRARY, max_length=12)
    assert prior.python.priors[0].token == LIBRARY.index("exp")
    file = tmp_path / "mine.py"
    file.write_text(
        "from dso.prior import Prior\n"
        "class Mine(Prior):\n"
        "    def validate(self):\n"
        "        return 'It never applies.'\n"
    )
    prior = make_joint_prior({**LENGTH, f"{file}:Mine": {"on": True}}, LIBRARY, max_length=12)
    assert any("It never applies." in line for line in prior.skipped)
    with pytest.raises(UserError, match=r"no attribute 'Mone'.*'Mine'"):
        make_joint_prior({f"{file}:Mone": {"on": True}}, LIBRARY, max_length=12)
    file.write_text(
        "class Loose:\n"
        "    def __init__(self, library):\n        pass\n"
        "    def compile(self, rules):\n        pass\n"
    )
    with pytest.raises(UserError, match=r"Loose is not derived from .* needs .* '__call__'"):
        make_joint_prior({f"{file}:Loose": {"on": True}}, LIBRARY, max_length=12)
    with pytest.raises(UserError, match=r"unknown key 'wrd'.* Did you mean 'word'"):
        make_joint_prior(
            {"tests.prior.test_python_prior:NoDoubleSine": {"on": True, "wrd": 1}},
            LIBRARY,
            max_length=12,
        )


def test_what_it_masks_is_counted_beside_the_rules():
    prior = joint(NoDoubleSine(LIBRARY))
    programs = ProgramBatch.from_rows([LIBRARY.actionize("sin,exp,x1")])
    counts = prior.mask_counts(programs)
    sin, x1 = LIBRARY.index("sin"), LIBRARY.index("x1")
    assert counts["NoDoubleSine"][sin] == 1
    assert counts["NoDoubleSine"].sum() == 1
    assert counts["LengthConstraint"][x1] == 2  # as first token, and before a length of 3
    assert counts["all"].sum() == counts["LengthConstraint"].sum() + 1
    assert list(counts)[-1] == "all"
