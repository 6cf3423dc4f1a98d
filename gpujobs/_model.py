"""The base of every model a user writes, and the text types that refuse NUL."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema
    from typing_extensions import Self

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_RESERVED = "GPUJOBS_"


class Model(BaseModel):
    """Frozen, hashable by content, and closed: an unknown field is an error that names it."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=False, hide_input_in_errors=False, ser_json_bytes="base64"
    )

    _shorthand: ClassVar[tuple[dict[str, Any], ...]] = ()
    """The schemas of short forms that stand for the whole model, as in ``gpus: 1``."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        ref = handler(core_schema)
        if cls._shorthand:
            schema = handler.resolve_ref_schema(ref)
            table = dict(schema)
            schema.clear()
            schema["anyOf"] = [*map(dict, cls._shorthand), table]
        return ref

    def replace(self, **changes: Any) -> Self:
        """A validated copy with some fields changed.

        Raises:
            pydantic.ValidationError: A changed value is not allowed.
        """
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self).model_validate({**given, **changes})


def like(pattern: str) -> dict[str, Any]:
    """The schema of texts of this form."""
    return {"type": "string", "pattern": pattern}


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL character cannot be passed to a program: remove it")
    try:
        text.encode()
    except UnicodeEncodeError as e:
        raise ValueError(f"not encodable as UTF-8: {e.reason} at position {e.start}") from e
    return text


def _env_name(name: str) -> str:
    if not _ENV_NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is not a name for an environment variable: letters, digits and '_', not starting with a digit"
        )
    if name.startswith(_RESERVED):
        raise ValueError(f"{name!r} is reserved: gpujobs sets the {_RESERVED} variables itself")
    return name


def _one_or_many(value: object) -> object:
    """A lone text becomes a tuple of one, so that nobody gets a tuple of letters."""
    return (value,) if isinstance(value, str) else value


def _whole(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")  # noqa: TRY004  # pydantic wants ValueError
    return value


def _finite(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number")
    return _whole(value)


Text = Annotated[str, AfterValidator(_no_nul)]
"""Any text without NUL."""

Words = Annotated[
    tuple[Text, ...],
    BeforeValidator(_one_or_many),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""Several texts; a lone text counts as one."""

ENV_NAME_SCHEMA = like(f"^(?!{_RESERVED}){_ENV_NAME.pattern}$")
EnvName = Annotated[str, AfterValidator(_env_name), WithJsonSchema(ENV_NAME_SCHEMA)]
"""The name of an environment variable."""

# No system counts further, and a record must be able to hold it.
MOST = 2**31 - 1

# The bound stands before the validator, else the JSON Schema does not say it.
Count = Annotated[int, Field(ge=1, le=MOST), BeforeValidator(_whole)]
"""A whole number from 1."""

NonNegative = Annotated[int, Field(ge=0, le=MOST), BeforeValidator(_whole)]
"""A whole number from 0."""

Integer = Annotated[int, Field(ge=-MOST, le=MOST)]
"""A whole number, negative ones too."""

Amount = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_finite)]
"""A number above 0."""
