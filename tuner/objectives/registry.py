"""The registry of objectives: ours and the users', under one name each, with typed settings.

The settings of an objective are the parameters of its constructor. Their types, defaults, bounds and descriptions are
read from its signature, so that one declaration gives the constructor, the validation and the published JSON Schema::

    @register("my_valley")
    class MyValley:
        def __init__(self, depth: Annotated[float, Field(gt=0, description="How deep.")] = 1.0) -> None: ...
"""

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from tuner.errors import FieldError, InvalidInput, ObjectiveFailed, ObjectiveNotFound, TunerError
from tuner.objectives.protocol import Objective

Factory = TypeVar("Factory", bound=Callable[..., Any])

# Integers that every JSON reader carries exactly (RFC 8259, section 6).
_Integer = Annotated[int, Field(ge=-(2**53) + 1, le=2**53 - 1)]

_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True, protected_namespaces=())


@dataclass(frozen=True)
class ObjectiveType:
    """A registered objective before it has settings.

    ``summary`` is the first line of its docstring, ``description`` the whole of it.
    """

    name: str
    factory: Callable[..., Any]
    settings: type[BaseModel]
    summary: str
    description: str

    @property
    def settings_schema(self) -> dict[str, Any]:
        """The JSON Schema of the settings."""
        return self.settings.model_json_schema()


_types: dict[str, ObjectiveType] = {}


def register(name: str) -> Callable[[Factory], Factory]:
    """Decorate a class, or a function that returns an objective, to make it known under ``name``.

    Raises:
        InvalidInput: the name is taken, or the constructor's signature cannot be read as settings.
    """

    def decorate(factory: Factory) -> Factory:
        if name in _types:
            raise InvalidInput.at("objectives", f"the name {name!r} is taken by {_types[name].factory!r}")
        description = inspect.getdoc(factory) or ""
        _types[name] = ObjectiveType(
            name, factory, _settings_model(name, factory), description.partition("\n")[0], description
        )
        return factory

    return decorate


def registered() -> Mapping[str, ObjectiveType]:
    """Every objective by its name; a live, read-only view."""
    return MappingProxyType(_types)


def find(name: str) -> ObjectiveType:
    """The objective of that name.

    Raises:
        ObjectiveNotFound: there is none; the message names the nearest, or all.
    """
    if name in _types:
        return _types[name]
    near = difflib.get_close_matches(name, _types, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(_types))}"
    raise ObjectiveNotFound(f"no objective is named {name!r}; {hint}")


def resolve_settings(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with every default filled in, as JSON can hold them.

    Raises:
        ObjectiveNotFound: no objective has that name.
        InvalidInput: a setting is unknown, missing, of the wrong type or out of bounds; fields read ``settings.seed``.
    """
    return _validated(find(name), settings).model_dump(mode="json")


def create(name: str, settings: Mapping[str, Any]) -> Objective:
    """The objective of that name with these settings.

    Raises:
        ObjectiveNotFound: no objective has that name.
        InvalidInput: as `resolve_settings`; also where the constructor refuses what each setting alone would allow.
            A constructor says so by raising `InvalidInput` (fields named as its parameters) or `ValueError`.
        ObjectiveFailed: the constructor raised anything else, or made something that is no objective.
    """
    kind = find(name)
    model = _validated(kind, settings)
    try:
        made = kind.factory(**{field: getattr(model, field) for field in type(model).model_fields})
    except InvalidInput as error:
        raise error.within("settings") from error
    except TunerError:
        raise
    except ValueError as error:
        raise InvalidInput.at("settings", str(error)) from error
    except (Exception, SystemExit) as error:
        raise ObjectiveFailed(f"{name} could not be made: {type(error).__name__}: {error}") from error
    if not isinstance(made, Objective):
        raise ObjectiveFailed(f"{name} is no objective: it needs dimension, initial_parameters and value_and_gradient")
    return made


def _validated(kind: ObjectiveType, settings: Mapping[str, Any]) -> BaseModel:
    try:
        return kind.settings.model_validate(dict(settings))
    except ValidationError as error:
        fields = (
            FieldError(".".join(("settings", *map(str, problem["loc"]))), problem["msg"]) for problem in error.errors()
        )
        raise InvalidInput(*fields) from error


def _settings_model(name: str, factory: Callable[..., Any]) -> type[BaseModel]:
    constructor = factory.__init__ if inspect.isclass(factory) else factory
    hints = get_type_hints(constructor, include_extras=True)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(factory).parameters.values():
        if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            raise InvalidInput.at("objectives", f"{name}: {parameter} cannot be a setting; name each one")
        has_default = parameter.default is not parameter.empty
        annotation = hints.get(parameter.name, type(parameter.default) if has_default else None)
        if annotation is None:
            raise InvalidInput.at("objectives", f"{name}: setting {parameter.name!r} needs a type or a default")
        fields[parameter.name] = (
            _Integer if annotation is int else annotation,
            parameter.default if has_default else ...,
        )
    try:
        return create_model(f"{name}_settings", __config__=_STRICT, **fields)
    except Exception as error:
        raise InvalidInput.at("objectives", f"{name}: its settings cannot be validated: {error}") from error
