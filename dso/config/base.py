"""What the sections of a config are made of: the class of a section, its keys and their types."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _integral(value: object) -> object:
    """Let 1e3 be an integer, as JSON has only one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_integral)
Int = Annotated[int, WHOLE]
Count = Annotated[int, Field(ge=1, le=10**15), WHOLE]
CountOrZero = Annotated[int, Field(ge=0, le=10**15), WHOLE]
Level = Annotated[int, Field(ge=0, le=10), WHOLE]
Size = Annotated[int, Field(ge=1, le=10_000), WHOLE]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]
Text = Annotated[str, Field(min_length=1)]
Names = str | list[str | float]
Reference = Annotated[str, Field(pattern=":")]


def key(default: object, meaning: str) -> Any:
    """Declare a key: what it is where the user says nothing, and what it means."""
    return Field(default, description=meaning)


def run_time_key() -> Any:
    """Declare a key that a run writes into its config and no user does."""
    return Field(None, exclude=True, description="Written at run time.")


class Section(BaseModel):
    """A section of the config, or a part of one. Unknown keys and inexact types are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_default=True
    )

    @classmethod
    def defaults(cls) -> dict:
        """Return the defaults as a plain dict, before anything is derived from them."""
        return {
            name: type(value).defaults() if isinstance(value, Section) else value
            for name, field in cls.model_fields.items()
            if not field.exclude
            for value in [field.get_default(call_default_factory=True)]
        }

    def to_dict(self) -> dict:
        """Return the section as a plain dict, the keys of a plug-in included."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        # Keys written while running have no place in a config until they have a value.
        hidden = {n for n, field in type(self).model_fields.items() if field.exclude}
        return {
            name: _to_plain(value)
            for name, value in (values | (self.model_extra or {})).items()
            if not (name in hidden and value is None)
        }


def _to_plain(value: object) -> object:
    if isinstance(value, Section):
        return value.to_dict()
    if isinstance(value, list):
        return [_to_plain(item) for item in value]
    return value
