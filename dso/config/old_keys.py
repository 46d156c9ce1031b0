"""Config keys that are not today's: moved since older versions, removed, or never known.

Moved keys are mapped with one warning each, so that old files run unchanged. Where an unknown key
is ignored rather than refused, it costs one warning, unless it looks like a slip of the keyboard.
"""

import logging
from collections.abc import Iterable
from difflib import get_close_matches

from dso.errors import unknown

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
REMOVED: dict[Place, str] = {
    ("training", "n_epochs"): "training.n_samples bounds a run",
    ("prior", "state_checker"): "the rules for decision-tree tokens always hold",
}
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
    for place, reason in REMOVED.items():
        if _take(config, place) is not _ABSENT:
            logger.warning("config: %s.%s is ignored: %s.", *place, reason)
    for old, new in MOVED.items():
        _move(config, old, new)
    task = config.get("task")
    # Only for control: a task of the user's own may well have a parameter of this name.
    if isinstance(task, dict) and task.get("task_type") == "control":
        _move(config, ("task", "name"), ("task", "env"))
    for name in SWITCHES:
        _move_switch(config, name)
    _drop_controller(config)
    return config


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
        if get_close_matches(str(key).lower(), known, n=1, cutoff=0.75):
            raise unknown(kind, key, known, where)
        del section[key]
    if strange:
        names = ", ".join(repr(str(key)) for key in strange)
        logger.warning("config: %s has no %s %s; ignored.", where, kind, names)
