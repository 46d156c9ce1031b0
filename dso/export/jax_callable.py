"""A program as a function of jax."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from dso.errors import UserError
from dso.export.walk import constant_slots, fold, number_of, operator_of
from dso.library import HardCodedConstant, StateChecker, Token
from dso.library.operator import apply_form


def jax_program(tokens: Sequence[Token]) -> dict[str, Any]:
    """Return ``callable`` and ``parameters``.

    Parameters
    ----------
    tokens : sequence of Token
        In prefix order, each `const` with its number.

    Returns
    -------
    dict
        ``callable(X, parameters)`` gives the predictions (N,) for rows (N, D), and can be
        transformed by jax; ``parameters`` (K,) are the fitted numbers in prefix order. Both are in
        double precision only where ``jax_enable_x64`` is on.
    """
    try:
        import jax
        import jax.numpy as jnp
    except ImportError:
        raise UserError("jax() needs jax: install it, or dso with the extra 'jax'.") from None
    slots = constant_slots(tokens)
    parameters = jnp.array([number_of(tokens[position]) for position in slots], dtype=float)
    for token in tokens:
        if token.arity and not isinstance(token, StateChecker):
            operator_of(token, "jax")
    # jax.numpy, and what it has elsewhere.
    namespace = SimpleNamespace(
        **{**vars(jax.scipy.special), "sigmoid": jax.nn.sigmoid, **vars(jnp)}
    )
    return {"callable": _callable(list(tokens), slots, namespace), "parameters": parameters}


def _callable(tokens: list[Token], slots: dict[int, int], jnp: Any) -> Callable[[Any, Any], Any]:
    def predictions(X: Any, parameters: Any) -> Any:
        X = jnp.asarray(X)

        def node(position: int, token: Token, arguments: list[Any]) -> Any:
            if token.input_var is not None:
                return X[:, token.input_var]
            if position in slots:
                return parameters[slots[position]]
            if isinstance(token, HardCodedConstant):
                return jnp.asarray(token.value)
            if isinstance(token, StateChecker):
                return jnp.where(X[:, token.state_index] < token.threshold, *arguments)
            return apply_form(operator_of(token, "jax").array, jnp, *arguments)

        return jnp.broadcast_to(fold(tokens, node), (X.shape[0],))

    return predictions
