"""Config keys that are no longer valid, or never were: moved, removed or unknown.

Moved keys are mapped with one warning each, so that old files run unchanged. Where an unknown key
is ignored rather than refused, it costs one warning, unless it looks like a slip of the keyboard.
"""

import logging
from collections.abc import Iterable
from difflib import get_close_matches

from dso.errors import UserError, unknown
from dso.plugins import is_reference

logger = logging.getLogger("dso")

Place = tuple[str, str]

_LOGGING = (
    "hof",
    "save_summary",
    "save_positional_entropy",
    "save_pareto_front",
    "save_cache",
    "save_cache_r_min",
    "save_freq",
    "save_token_count",
)
_EXPERIMENT = ("logdir", "seed", "exp_name")
_STATE_MANAGER = (
    "observe_action",
    "observe_parent",
    "observe_sibling",
    "observe_dangling",
    "embedding",
    "embedding_size",
)
_POLICY = ("max_length", "cell", "num_layers", "num_units", "initializer")
_POLICY_OPTIMIZER = (
    "learning_rate",
    "optimizer",
    "entropy_weight",
    "entropy_gamma",
    "summary",
    "pqt_k",
    "pqt_batch_size",
    "pqt_weight",
    "pqt_use_pg",
    "ppo_clip_ratio",
    "ppo_n_iters",
    "ppo_n_mb",
)

MOVED: dict[Place, Place] = {
    **{("training", key): ("logging", key) for key in _LOGGING},
    ("training", "save_all_epoch"): ("logging", "save_all_iterations"),
    **{("training", key): ("experiment", key) for key in _EXPERIMENT},
    **{("controller", key): ("state_manager", key) for key in _STATE_MANAGER},
    **{("controller", key): ("policy", key) for key in _POLICY},
    **{("controller", key): ("policy_optimizer", key) for key in _POLICY_OPTIMIZER},
}
EPOCHS: Place = ("training", "n_epochs")
REMOVED: dict[Place, str] = {
    EPOCHS: "training.n_samples bounds a run",
    ("prior", "state_checker"): "the rules for decision-tree tokens always hold",
    ("task", "multiobject"): "it had no effect",
}
RENAMED = {"max_time": ("training", "max_seconds")}
"""Names that other programs have for keys of ours, whatever section they stand in."""
# Booleans that chose the policy optimiser.
SWITCHES = ("pqt", "ppo")


def modernise(config: dict) -> dict:
    """Return a user's config with every moved key in today's place.

    Where both the old and the new key are given, the new one counts.

    Parameters
    ----------
    config : dict
        As the user wrote it, before defaults are merged in; it is changed and returned.
    """
    task = config.get("task")
    # A task of the user's own may well have parameters of these names.
    kind = task.get("task_type", "regression") if isinstance(task, dict) else None
    for place, reason in REMOVED.items():
        if place == EPOCHS or (place[0] == "task" and is_reference(kind)):
            continue
        if _take(config, place) is not _ABSENT:
            logger.warning("config: %s.%s is ignored: %s.", *place, reason)
    for old, new in MOVED.items():
        _move(config, old, new)
    if kind == "control":
        _move(config, ("task", "name"), ("task", "env"))
    for name in SWITCHES:
        _move_switch(config, name)
    _drop_controller(config)
    return config


def take_epochs(config: dict) -> int | None:
    """Remove the number of iterations that bounded a run, and return it where it still counts.

    It does so where the user gives no number of samples.
    """
    n_epochs = _take(config, EPOCHS)
    if n_epochs is _ABSENT or n_epochs is None:
        return None
    if config["training"].get("n_samples") is not None:
        logger.warning("config: %s.%s is ignored: training.n_samples is given too.", *EPOCHS)
        return None
    if not isinstance(n_epochs, int) or isinstance(n_epochs, bool) or n_epochs < 1:
        raise UserError(f"training.n_epochs: {n_epochs!r}; expected a whole number >= 1.")
    logger.warning("config: %s.%s is now training.n_samples = n_epochs * batch_size.", *EPOCHS)
    return n_epochs


_ABSENT = object()


def _take(config: dict, place: Place) -> object:
    """Remove and return one value."""
    section = config.get(place[0])
    return section.pop(place[1], _ABSENT) if isinstance(section, dict) else _ABSENT


def _move(config: dict, old: Place, new: Place) -> None:
    value = _take(config, old)
    if value is _ABSENT:
        return
    section = config.setdefault(new[0], {})
    if not isinstance(section, dict):
        return  # an error of its own when the section is validated
    kept = "" if new[1] not in section else ", which is given too and counts"
    section.setdefault(new[1], value)
    logger.warning("config: %s.%s is now %s.%s%s.", *old, *new, kept)


def _move_switch(config: dict, name: str) -> None:
    value = _take(config, ("controller", name))
    if value is _ABSENT:
        return
    if value:
        section = config.setdefault("policy_optimizer", {})
        if isinstance(section, dict):
            section.setdefault("policy_optimizer_type", name)
    logger.warning(
        "config: controller.%s is now policy_optimizer.policy_optimizer_type: %s.",
        name,
        f"'{name}'" if value else "left as it is",
    )


def _drop_controller(config: dict) -> None:
    controller = config.get("controller")
    if isinstance(controller, dict):
        known = [key for section, key in MOVED if section == "controller"]
        drop_unknown(controller, (*known, *SWITCHES), "key", "controller")
        del config["controller"]


def drop_unknown(section: dict, known: Iterable[str], kind: str, where: str) -> None:
    """Remove the keys that are not `known` from a section that ignores such keys.

    Parameters
    ----------
    section : dict
        Changed in place.
    known : iterable of str
    kind, where : str
        How messages call a key and the place, e.g. ``"key"`` and ``"gp_meld"``.

    Raises
    ------
    UserError
        If one is so near to a known key that it must be a slip.
    """
    known = set(known)
    strange = [key for key in section if key not in known]
    for key in strange:
        if key in RENAMED:
            raise UserError(f"{where}.{key}: called {'.'.join(RENAMED[key])} here.")
        if get_close_matches(str(key).lower(), known, n=1, cutoff=0.75):
            raise unknown(kind, key, known, where)
        del section[key]
    if strange:
        names = ", ".join(repr(str(key)) for key in strange)
        logger.warning("config: %s has no %s %s; ignored.", where, kind, names)
