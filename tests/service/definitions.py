"""Definitions that the tests of the use cases start from."""

from typing import Any

from tuner.definition import StudyDefinition
from tuner.service.tell import Ending
from tuner.trial import Lease

SPACE = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "scale": "log"},
    "steps": {"type": "int", "low": 1, "high": 200},
}


def registered(name: str = "line-fit", **changes: Any) -> StudyDefinition:
    """The tutorial study, searched at random unless told otherwise."""
    document = {
        "name": name,
        "objective": {"name": "line_fit", "settings": {"seed": 5}},
        "search_space": SPACE,
        "sampler": {"name": "random"},
        **changes,
    }
    return StudyDefinition.model_validate(document)


def external(name: str = "resnet", **changes: Any) -> StudyDefinition:
    """A training client's study."""
    return StudyDefinition.model_validate(
        {"name": name, "search_space": SPACE, "sampler": {"name": "random"}, **changes}
    )


def complete(lease: Lease, loss: float = 1.0, **changes: Any) -> Ending:
    """A trial's ordinary end."""
    return Ending(number=lease.number, attempt=lease.attempt, state="complete", values={"loss": loss}, **changes)
