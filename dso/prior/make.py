"""From a config section to the priors it turns on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dso.errors import UserError
from dso.library import Library, TokenNotFoundError
from dso.plugins import construct, is_reference, look_up
from dso.prior.all_inputs import AllInputsConstraint
from dso.prior.argument_size import ArgumentSizeConstraint
from dso.prior.argument_type import ArgumentTypeConstraint
from dso.prior.const import ConstConstraint
from dso.prior.domain_range import DomainRangeConstraint
from dso.prior.inverse import InverseUnaryConstraint
from dso.prior.joint_prior import JointPrior
from dso.prior.language_model import LanguageModelPrior
from dso.prior.length import LengthConstraint
from dso.prior.max_depth import MaxDepthConstraint
from dso.prior.max_size import MaxSizeConstraint
from dso.prior.multi_discrete import MultiDiscreteConstraint
from dso.prior.mutually_exclusive import MutuallyExclusiveConstraint
from dso.prior.nesting import NestingConstraint
from dso.prior.no_inputs import NoInputsConstraint
from dso.prior.poly import PolyConstraint
from dso.prior.prior import Prior
from dso.prior.relational import RelationalConstraint
from dso.prior.repeat import RepeatConstraint
from dso.prior.soft_length import SoftLengthPrior
from dso.prior.state_checker import StateCheckerConstraint
from dso.prior.template import TemplateConstraint
from dso.prior.trig import TrigConstraint
from dso.prior.uniform_arity import UniformArityPrior
from dso.prior.units import UnitsConstraint

PRIORS: dict[str, type[Prior]] = {
    "relational": RelationalConstraint,
    "length": LengthConstraint,
    "repeat": RepeatConstraint,
    "inverse": InverseUnaryConstraint,
    "trig": TrigConstraint,
    "const": ConstConstraint,
    "no_inputs": NoInputsConstraint,
    "uniform_arity": UniformArityPrior,
    "soft_length": SoftLengthPrior,
    "domain_range": DomainRangeConstraint,
    "language_model": LanguageModelPrior,
    "multi_discrete": MultiDiscreteConstraint,
    "max_size": MaxSizeConstraint,
    "max_depth": MaxDepthConstraint,
    "argument_size": ArgumentSizeConstraint,
    "nesting": NestingConstraint,
    "argument_type": ArgumentTypeConstraint,
    "all_inputs": AllInputsConstraint,
    "mutually_exclusive": MutuallyExclusiveConstraint,
    "units": UnitsConstraint,
}


def make_joint_prior(
    section: Mapping[str, object],
    library: Library,
    *,
    max_length: int,
    template: TemplateConstraint | None = None,
    **facts: object,
) -> JointPrior:
    """Build the priors that a config section turns on.

    Parameters
    ----------
    section : mapping
        Prior name to its parameters, or to a list of parameters for several instances; each has an
        ``on`` switch, off by default. Other values are settings, not priors.
    library : Library
    max_length : int
    template : TemplateConstraint, optional
        The form of every program.
    **facts
        What a prior may ask for by argument name besides its own parameters, e.g. `input_ranges`.
    """
    priors: list[Prior] = []
    skipped: list[str] = []
    for name, value in section.items():
        if not isinstance(value, Mapping | Sequence) or isinstance(value, str):
            continue
        for parameters in [value] if isinstance(value, Mapping) else value:
            arguments = dict(parameters)
            if not arguments.pop("on", False):
                skipped.append(f"{name}: Prior disabled.")
                continue
            prior = _make_prior(name, arguments, library, facts)
            if isinstance(prior, str):
                skipped.append(f"{name}: {prior}")
            else:
                priors.append(prior)
    if library.poly_token is not None:
        priors.append(PolyConstraint(library))
    if template is not None:
        refuse_unlike(template, priors)
        priors.append(template)
    elif len(library.state_checker_tokens):
        priors.append(StateCheckerConstraint(library))
    return JointPrior(library, priors, max_length=max_length, skipped=skipped)


def refuse_unlike(template: TemplateConstraint, priors: Sequence[Prior]) -> None:
    """Refuse priors that ask for tokens which a template may not have room for."""
    for prior in priors:
        if isinstance(prior, AllInputsConstraint) or getattr(prior, "min", None):
            if isinstance(prior, LengthConstraint):
                continue
            raise UserError(
                f"task.template and prior {type(prior).__name__}: a template says itself which "
                "tokens there are; leave one of them out."
            )


def _make_prior(
    name: str,
    arguments: dict[str, object],
    library: Library,
    facts: Mapping[str, object],
) -> Prior | str:
    """Return the prior, or why it is skipped."""
    made = look_up(name, PRIORS, "prior", f"prior.{name}" if is_reference(name) else "prior")
    if not is_reference(name):
        arguments = {key: _by_name(value) for key, value in arguments.items()}
    if not callable(made):
        raise UserError(f"prior.{name}: {made!r} is not a class that makes a prior.")
    try:
        prior = construct(made, f"prior.{name}", library, own=arguments, common=facts)
    except TokenNotFoundError as error:
        if not error.is_known:  # a slip, not a token of some other library
            raise UserError(f"prior.{name}: {error}") from None
        return f"Uses Tokens not in the Library ({error.name})."
    except TypeError as error:
        raise UserError(f"prior.{name}: {error}.") from None
    if not (isinstance(prior, Prior) or callable(prior)):
        raise UserError(
            f"prior.{name}: {type(prior).__name__} is not derived from dso.prior.Prior, "
            "so it needs a method '__call__'."
        )
    validate = getattr(prior, "validate", None)
    return (validate and validate()) or prior


def _by_name(value: object) -> object:
    """Return a list of tokens by their names: in a config a number is a token, not an index."""
    if not isinstance(value, list | tuple):
        return value
    return [repr(float(item)) if isinstance(item, int | float) else item for item in value]
