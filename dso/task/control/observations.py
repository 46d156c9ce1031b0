"""What the components of an observation are called."""

from __future__ import annotations

from collections.abc import Sequence

from dso.errors import UserError
from dso.library.identifiers import identifiers
from dso.task.control.environment import Environment

WHERE = "task.observation_names"

CART_POLE = ("x", "x_dot", "theta", "theta_dot")
TURNING_CART_POLE = ("x", "x_dot", "cos_theta", "sin_theta", "theta_dot")
PENDULUM = ("cos_theta", "sin_theta", "theta_dot")
CAR = ("position", "velocity")
LANDER = ("x", "y", "v_x", "v_y", "angle", "omega", "left_leg", "right_leg")
WALKER_2D = ("thigh", "leg", "foot", "left_thigh", "left_leg", "left_foot")
CHEETAH = ("back_thigh", "back_shin", "back_foot", "front_thigh", "front_shin", "front_foot")


def _with_rates(z: str, joints: Sequence[str]) -> tuple[str, ...]:
    """Return positions, then velocities, of a body in a plane and of its joints."""
    turning = ("pitch", *joints)
    return (z, *turning, "v_x", "v_z", *(f"{name}_dot" for name in turning))


ANT_JOINTS = tuple(f"{joint}_{leg}" for leg in (1, 2, 3, 4) for joint in ("hip", "ankle"))
HUMANOID_JOINTS = (
    *("abdomen_z", "abdomen_y", "abdomen_x"),
    *("right_hip_x", "right_hip_z", "right_hip_y", "right_knee"),
    *("left_hip_x", "left_hip_z", "left_hip_y", "left_knee"),
    *(
        f"{side}_{joint}"
        for side in ("right", "left")
        for joint in ("shoulder1", "shoulder2", "elbow")
    ),
)
HUMANOID_BODIES = (
    *("torso", "lower_waist", "pelvis"),
    *(f"{side}_{part}" for side in ("right", "left") for part in ("thigh", "shin", "foot")),
    *(f"{side}_{part}" for side in ("right", "left") for part in ("upper_arm", "lower_arm")),
)
ARM_JOINTS = (
    *("shoulder_pan", "shoulder_lift", "upper_arm_roll", "elbow_flex"),
    *("forearm_roll", "wrist_flex", "wrist_roll"),
)


def _in_space(joints: Sequence[str]) -> tuple[str, ...]:
    """Return positions, then velocities, of a body in space and of its joints."""
    return (
        *("z", "q_w", "q_x", "q_y", "q_z", *joints),
        *(
            "v_x",
            "v_y",
            "v_z",
            "omega_x",
            "omega_y",
            "omega_z",
            *(f"{name}_dot" for name in joints),
        ),
    )


def _of_each(bodies: Sequence[str], quantities: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{body}_{quantity}" for body in bodies for quantity in quantities)


FORCES = ("torque_x", "torque_y", "torque_z", "force_x", "force_y", "force_z")
HUMANOID = (
    *_in_space(HUMANOID_JOINTS),
    *_of_each(HUMANOID_BODIES, [*(f"inertia{i}" for i in range(1, 10)), "mass"]),
    *_of_each(HUMANOID_BODIES, ("omega_x", "omega_y", "omega_z", "v_x", "v_y", "v_z")),
    *(f"{name}_force" for name in HUMANOID_JOINTS),
    *_of_each(HUMANOID_BODIES, FORCES),
)

NAMES: dict[str, tuple[str, ...]] = {
    "CartPole": CART_POLE,
    "dso/CartPoleContinuous": CART_POLE,
    "dso/CartPoleSwingUp": TURNING_CART_POLE,
    "Pendulum": PENDULUM,
    "dso/Pendulum": PENDULUM,
    "MountainCar": CAR,
    "MountainCarContinuous": CAR,
    "Acrobot": (
        *("cos_theta1", "sin_theta1", "cos_theta2", "sin_theta2"),
        *("theta1_dot", "theta2_dot"),
    ),
    "LunarLander": LANDER,
    "LunarLanderContinuous": LANDER,
    "dso/LunarLander": LANDER,
    "dso/LunarLanderNoRewardShaping": LANDER,
    "dso/LunarLanderContinuousNoRewardShaping": LANDER,
    "dso/LunarLanderMultiDiscrete": LANDER,
    "BipedalWalker": (
        *("angle", "omega", "v_x", "v_y"),
        *(
            f"{name}{leg}"
            for leg in (1, 2)
            for name in ("hip", "hip_dot", "knee", "knee_dot", "contact")
        ),
        *(f"lidar{i}" for i in range(1, 11)),
    ),
    "InvertedPendulum": ("x", "theta", "x_dot", "theta_dot"),
    "InvertedDoublePendulum": (
        *("x", "sin_theta", "sin_gamma", "cos_theta", "cos_gamma"),
        *("x_dot", "theta_dot", "gamma_dot", "force_x"),
    ),
    "Hopper": _with_rates("z", ("thigh", "leg", "foot")),
    "Walker2d": _with_rates("z", WALKER_2D),
    "HalfCheetah": _with_rates("z", CHEETAH),
    "Swimmer": (
        *("angle", "joint1", "joint2"),
        *("v_x", "v_y", "angle_dot", "joint1_dot", "joint2_dot"),
    ),
    "Reacher": (
        *("cos_joint1", "cos_joint2", "sin_joint1", "sin_joint2", "target_x", "target_y"),
        *("joint1_dot", "joint2_dot", "to_target_x", "to_target_y"),
    ),
    "Ant": (
        *_in_space(ANT_JOINTS),
        *_of_each([f"body{i}" for i in range(1, 14)], FORCES),
    ),
    "Humanoid": HUMANOID,
    "HumanoidStandup": HUMANOID,
    "Pusher": (
        *(*ARM_JOINTS, *(f"{name}_dot" for name in ARM_JOINTS)),
        *(f"{thing}_{axis}" for thing in ("tip", "object", "goal") for axis in "xyz"),
    ),
    "InvertedPendulumBulletEnv": (*TURNING_CART_POLE, "time_left"),
    "InvertedPendulumSwingupBulletEnv": (*TURNING_CART_POLE, "time_left"),
    "InvertedDoublePendulumBulletEnv": (
        *("x", "x_dot", "tip_x", "cos_theta", "sin_theta", "theta_dot"),
        *("cos_gamma", "sin_gamma", "gamma_dot", "time_left"),
    ),
    "HopperBulletEnv": (
        *("height", "sin_target", "cos_target", "v_x", "v_y", "v_z", "roll", "pitch"),
        *("thigh", "thigh_dot", "leg", "leg_dot", "foot", "foot_dot", "contact", "time_left"),
    ),
}
"""By id without version; what is not here has x1, x2, ..."""


def observation_names(
    environment: Environment, given: Sequence[str] | None = None
) -> list[str] | None:
    """Return the names of an environment's observations, None for x1, x2, ...

    Parameters
    ----------
    environment : Environment
    given : sequence of str, optional
        The user's; an empty one asks for x1, x2, ...

    Raises
    ------
    UserError
        If they are not one each, different, and names in every language that policies are
        exported to.
    """
    n = environment.n_observations
    if given is None:
        known = NAMES.get(environment.recipe.id.split(":")[-1].rpartition("-v")[0], ())
        return list(known) if len(known) == n else None
    if not given:
        return None
    if len(given) != n:
        raise UserError(
            f"{WHERE}: {len(given)} names; {environment.recipe.id!r} has {n} observations."
        )
    for name, usable in zip(given, identifiers(given), strict=True):
        if name != usable:
            raise UserError(
                f"{WHERE}: {name!r} cannot be used as a name, or occurs twice; {usable!r} can."
            )
    return list(given)
