"""What the sections of a config are made of: the class of a section, its keys and their types."""

import os
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


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


def _without_control(text: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("expected text without control characters")
    return text


def relative_name(text: str) -> str:
    """Return the name of a folder below another one; what leads out of that is refused."""
    parts = _without_control(text).split("/")
    if "\\" in text or text.startswith("~") or any(part in ("", ".", "..") for part in parts):
        raise ValueError("expected a name, or several with '/' between them, without '..' or '~'")
    if max(len(part.encode(errors="replace")) for part in parts) > MAX_NAME_BYTES:
        raise ValueError(f"expected names of at most {MAX_NAME_BYTES} bytes")
    return text


MAX_NAME_BYTES = 200
"""Of a folder: file systems allow 255, and the names of files in it may be longer than its own."""
Text = Annotated[str, Field(min_length=1), AfterValidator(_without_control)]
PathText = Annotated[Text, AfterValidator(os.path.expanduser)]
FolderName = Annotated[str, AfterValidator(relative_name)]
Noise = Annotated[float, Field(ge=0, le=1000)]
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
