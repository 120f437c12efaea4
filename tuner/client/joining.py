"""Create, join or extend a study: one call, made by any number of processes at once, in any order.

What the caller leaves out is taken from the study that exists. Notes and tags are people's, who may have rewritten them
since: they are set when a study is created, and never stand in the way of joining it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tuner.client.transport import Transport, document_of, in_path
from tuner.errors import ReadOnlyStudy, StudyChanged, StudyExists, StudyNotFound


def open_study(transport: Transport, said: Mapping[str, Any]) -> dict[str, Any]:
    """The study that a definition is about, as the service reads it: created, or found and, where asked, extended.

    Args:
        transport: to the service.
        said: the definition, as far as the caller gave it. Without a search space the study must exist.

    Raises:
        StudyExists: a study of that name exists and differs in more than its budget; the message names the fields.
        StudyNotFound: there is none, and no search space was given.
        InvalidInput: the service refuses the definition.
    """
    path = f"/v1/studies/{in_path(said['name'])}"
    while True:
        if "search_space" in said:
            try:
                return dict(transport.write("/v1/studies", said))
            except StudyExists:
                pass
        try:
            return _join(transport, path, said)
        except StudyChanged:  # somebody else has extended it: look again
            continue
        except StudyNotFound:  # deleted since it was in the way
            if "search_space" not in said:
                raise


def _join(transport: Transport, path: str, said: Mapping[str, Any]) -> dict[str, Any]:
    answer = transport.read(path)
    study: dict[str, Any] = document_of(answer)
    found = study["definition"]
    if found is None:
        raise ReadOnlyStudy(f"study {said['name']!r} was made by an Optuna program: work on it with tuner.storage")
    different = list(differences(said, found))
    if different:
        raise StudyExists(
            f"a study named {said['name']!r} exists with another definition: {', '.join(different)} "
            f"{'differs' if len(different) == 1 else 'differ'}; choose another name or delete it first"
        )
    budget = extended(said.get("budget", {}), found["budget"])
    if budget == found["budget"]:
        return study
    version = {"If-Match": answer.headers["etag"]}
    return dict(transport.write(path, {"budget": budget}, method="PATCH", headers=version))


def differences(said: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    """The fields, but for the budget, in which a study is not what was said; what was not said is no difference."""
    if "search_space" in said:
        if found["objective"] is not None:
            yield "objective"
        space, other = said["search_space"], found["search_space"]
        for name in sorted(space.keys() | other.keys()):
            if name not in space or name not in other or not _covers({"scale": "linear", **space[name]}, other[name]):
                yield f"search_space.{name}"
    for field in ("goal", "sampler", "pruner", "stop_diverging"):
        if field in said and not _covers(said[field], found.get(field)):
            yield field


def _covers(said: Any, found: Any) -> bool:
    """Whether everything said is found: numbers by value, truth values apart from them."""
    if isinstance(said, Mapping):
        return isinstance(found, Mapping) and all(
            _covers(value, found[key]) if key in found else key == "scale" for key, value in said.items()
        )
    if isinstance(said, list | tuple):
        return (
            isinstance(found, list)
            and len(said) == len(found)
            and all(_covers(one, other) for one, other in zip(said, found, strict=True))
        )
    return bool(said == found) and isinstance(said, bool) == isinstance(found, bool)


def extended(said: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """The budget with each limit that was said to be higher. A limit is never lowered, and none is never set."""
    raised = {limit: value for limit, value in said.items() if found.get(limit) is not None and value > found[limit]}
    return {**found, **raised}
