"""Programs that act alike play few episodes, and get the reward that all of them would give."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dso.task.control.behaviour import N_PROBES, Behaviours
from dso.task.control.racing import Play, Racing

N_WAYS, N_EPISODES = 6, 5
SEEDS = range(100, 100 + N_EPISODES)
BATCHES = st.lists(st.lists(st.integers(0, N_WAYS - 1), min_size=1, max_size=8), max_size=4)


class Game:
    """What programs get that act in one of a few ways, and how many episodes are played."""

    def __init__(self, are_whole: bool) -> None:
        returns = np.random.default_rng(1).normal(size=(N_WAYS, N_EPISODES))
        self.returns = np.round(returns) if are_whole else returns
        self.n_played = 0

    def play_of(self, ways: Sequence[int]) -> Play:
        def play(rows: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
            self.n_played += len(rows) * len(seeds)
            return self.returns[np.array(ways)[rows]][:, [seed - SEEDS[0] for seed in seeds]]

        return play


class PlayAll(Racing):
    """A race in which nobody is dropped."""

    def _learn(self, forecasts: np.ndarray, played: np.ndarray) -> None:
        pass


@given(batches=BATCHES, are_whole=st.booleans(), stops_at=st.integers(0, 3))
def test_each_way_to_act_plays_its_other_episodes_once(
    batches: list[list[int]], are_whole: bool, stops_at: int
) -> None:
    game, behaviours = Game(are_whole), Behaviours()
    for i, ways in enumerate(batches):
        if i == stops_at:  # a run that goes on elsewhere
            state, behaviours = behaviours.state_dict(), Behaviours()
            behaviours.load_state_dict(state)
        means = behaviours.mean_returns(PlayAll(), game.play_of(ways), len(ways), SEEDS)
        np.testing.assert_allclose(means, game.returns[ways].mean(axis=1), rtol=1e-12)
    everyone = [way for ways in batches for way in ways]
    n_new = len(everyone) if are_whole else len(set(everyone))
    assert game.n_played == N_PROBES * len(everyone) + (N_EPISODES - N_PROBES) * n_new


def test_few_episodes_are_all_played() -> None:
    game, behaviours = Game(False), Behaviours()
    for _ in range(2):
        behaviours.mean_returns(PlayAll(), game.play_of([3, 3]), 2, SEEDS[:N_PROBES])
    assert game.n_played == 4 * N_PROBES
    assert not behaviours.means


@given(ways=st.lists(st.integers(0, N_WAYS - 1), min_size=3, max_size=8), n=st.integers(3, 60))
def test_what_time_cuts_has_no_reward_and_teaches_nothing(ways: list[int], n: int) -> None:
    game, behaviours, racing = Game(False), Behaviours(), PlayAll()
    whole = game.play_of(ways)

    def play(rows: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        nonlocal n
        returns = whole(rows, seeds)
        returns[max(0, n) :] = np.nan
        n -= len(rows)
        return returns

    means = behaviours.mean_returns(racing, play, len(ways), SEEDS)
    is_known = ~np.isnan(means)
    assert not np.isnan(list(behaviours.means.values())).any()
    n = 10**9
    rest = behaviours.mean_returns(racing, play, len(ways), SEEDS)
    assert not np.isnan(rest).any()
    np.testing.assert_array_equal(means[is_known], rest[is_known])


def test_a_race_that_time_cuts_keeps_forecasts() -> None:
    racing, returns = Racing(), np.random.default_rng(0).normal(size=(8, 5))

    def play(rows: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        found = returns[rows][:, list(seeds)]
        if seeds[0] == 2:
            found[3:] = np.nan  # in the second rung
        return found

    forecasts = racing.mean_returns(play, 8, range(5))
    np.testing.assert_allclose(forecasts[:3], returns[:3].mean(axis=1))
    np.testing.assert_allclose(forecasts[3:], returns[3:, :2].mean(axis=1))
    assert racing.quantile is None
