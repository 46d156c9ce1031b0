"""The prior section: what may be written, one class for the keys of each prior."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from dso.config.base import (
    WHOLE,
    Count,
    CountOrZero,
    Names,
    NonNegative,
    PathText,
    Positive,
    Section,
    Size,
    key,
)
from dso.errors import unknown
from dso.plugins import is_reference


class Prior(Section):
    """A prior without parameters."""

    on: bool = key(False, "Whether it applies.")


class TrigPrior(Prior):
    """No trigonometric function below another."""

    arc: bool = key(True, "Whether arcsin, arccos and arctan count as trigonometric.")


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
    """A preference for what known formulas are like."""

    weight: NonNegative | None = key(1.0, "Weight of its logits; null = 1.")
    temperature: Positive = key(1.0, "Above 1, rare tokens are less rare.")
    formulas: PathText | None = key(
        None, "File with one formula a line; null = the formulas that ship with dso."
    )


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
    """Tokens that exclude each other: an expression may contain only one of them."""

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
    count_constraints: bool = key(False, "Count what each prior masks.")
    relational: OneOrSeveral[RelationalPrior] = key(
        RelationalPrior(), "Targets may not be the relationship of effectors."
    )
    length: OneOrSeveral[LengthPrior] = key(LengthPrior(), "Least and greatest number of tokens.")
    repeat: OneOrSeveral[RepeatPrior] = key(RepeatPrior(), "How often tokens may occur.")
    inverse: OneOrSeveral[Prior] = key(Prior(), "No function right below its inverse.")
    trig: OneOrSeveral[TrigPrior] = key(TrigPrior(), "No trigonometric function below another.")
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
        LanguageModelPrior(), "A preference for what known formulas are like."
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
    units: OneOrSeveral[Prior] = key(
        Prior(), "Only expressions with consistent units, where the task says what they are."
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
