"""The flags that stand for settings: name, help and default of each come from `Settings`, once.

A flag wins over its environment variable, that over the default. What is wrong with a value is said by the settings'
own validation, under the name by which the user gave it.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar, get_origin

import click
from pydantic import ValidationError
from pydantic_settings import SettingsError

from tuner.errors import FieldError, InvalidInput
from tuner.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")

_METAVARS = {
    "database_url": "URL",
    "database_password_file": "FILE",
    "host": "ADDRESS",
    "hosts": "NAME",
    "cors_origins": "ORIGIN",
    "authentication": "true|false",
    "objectives": "MODULE",
    "log_level": "LEVEL",
    "log_format": "text|json",
}
_PREFIX = Settings.model_config.get("env_prefix", "")


OF_THE_DATABASE = ("database_url", "database_password_file")
"""The settings that say where the database is."""


def with_settings(*names: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Give a command a flag for each of these settings, and the settings themselves as its first argument."""

    def decorate(command: Callable[..., T]) -> Callable[..., T]:
        @wraps(command)
        def run(**arguments: Any) -> T:
            given = {name: arguments.pop(name) for name in names}
            return command(settings_from(given), **arguments)

        flagged: Callable[..., T] = run
        for name in reversed(names):
            flagged = _flag(name)(flagged)
        return flagged

    return decorate


def settings_from(flags: Mapping[str, Any]) -> Settings:
    """The settings of this process; flags that were not given are None or empty.

    Raises:
        InvalidInput: a value cannot be; the field is the flag or the environment variable that gave it.
    """
    given = {name: value for name, value in flags.items() if value not in {None, ()}}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise InvalidInput(
            *(FieldError(_source(str(problem["loc"][0]), given), problem["msg"]) for problem in error.errors())
        ) from None
    except SettingsError:
        # A list in an environment variable is the one thing that is parsed before it is validated.
        lists = [_variable(name) for name in Settings.model_fields if _is_list(name)]
        wrong = [name for name in lists if name in os.environ and not _is_json(os.environ[name])]
        raise InvalidInput(*(FieldError(name, 'must be a JSON list: ["one", "two"]') for name in wrong)) from None


def environment(settings: Settings) -> dict[str, str]:
    """These settings as environment variables, for a process of ours."""
    values = settings.model_dump(mode="json")
    return {
        _variable(name): value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
        if value is not None
    }


def flag_of(field: str) -> str:
    """The flag of a setting; what is none keeps its name."""
    return f"--{field.replace('_', '-')}" if field in Settings.model_fields else field


def load_objectives(settings: Settings) -> None:
    """Make the users' objectives known to this process.

    Raises:
        InvalidInput: one cannot be imported.
    """
    from tuner.objectives import load_entry_points, load_module

    load_entry_points()
    for module in settings.objectives:
        load_module(module)


def read_assignments(assignments: Sequence[str], option: str = "--set") -> dict[str, Any]:
    """``KEY=VALUE`` each; a value that is no JSON is a string.

    Raises:
        InvalidInput: one has no ``=``.
    """
    settings: dict[str, Any] = {}
    for assignment in assignments:
        key, sign, value = assignment.partition("=")
        if not sign or not key:
            raise InvalidInput.at(option, f"{assignment!r} is not KEY=VALUE")
        try:
            settings[key] = json.loads(value)
        except ValueError:
            settings[key] = value
    return settings


def by_option(error: InvalidInput, options: Mapping[str, str]) -> InvalidInput:
    """The same error, its fields named by the options that gave them; of two that fit, the first counts."""
    fields = []
    for problem in error.fields:
        field = problem.field
        for prefix, option in options.items():
            if field == prefix or field.startswith(f"{prefix}."):
                field = option + field[len(prefix) :].replace(".", " ", 1)
                break
        fields.append(FieldError(field, problem.message))
    return InvalidInput(*fields)


def _flag(name: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
    field = Settings.model_fields[name]
    repeated = _is_list(name)
    description = (field.description or "").replace(", as a JSON list", "") + ("; repeatable" if repeated else "")
    default = "" if repeated else f"; default {field.default}"
    return click.option(
        flag_of(name),
        name,
        metavar=_METAVARS.get(name, "NUMBER"),
        multiple=repeated,
        help=f"{description}  [{_variable(name)}{default}]",
    )


def _is_list(name: str) -> bool:
    return get_origin(Settings.model_fields[name].annotation) is list


def _variable(name: str) -> str:
    return f"{_PREFIX}{name}".upper()


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _source(name: str, given: Mapping[str, Any]) -> str:
    return flag_of(name) if name in given else _variable(name)
