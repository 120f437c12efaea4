"""A study in memory, as Optuna's samplers look at one: the trials so far, and those of the batch that is being chosen.

It lives for one batch. The trials so far are shown as they are, not copied: samplers only read them.
"""

# Optuna's interface, most of which one study in one batch has no use for.
# ruff: noqa: ARG002

from collections.abc import Container, Mapping, Sequence
from typing import Any, NoReturn

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

STUDY_ID = 0
STUDY_NAME = "batch"


class BatchView(BaseStorage):
    """The storage below an Optuna study that is asked for one batch.

    New trials are running and get the numbers of the batch, in order. Their ids are negative: those of the trials so
    far are the database's, and NSGA-II remembers them.
    """

    def __init__(
        self,
        trials: Sequence[FrozenTrial],
        system_attrs: Mapping[str, Any],
        directions: Sequence[str],
        numbers: Sequence[int],
    ) -> None:
        self._trials = list(trials)
        self._directions = [StudyDirection[direction.upper()] for direction in directions]
        self._system_attrs = dict(system_attrs)
        self._numbers = iter(numbers)
        self._new: dict[int, FrozenTrial] = {}
        self.changed: dict[str, Any] = {}
        """The study's attributes that samplers wrote."""

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """The next trial of the batch."""
        number = next(self._numbers)
        trial = FrozenTrial(
            number=number,
            trial_id=-1 - number,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=None,
            datetime_complete=None,
            params={},
            distributions={},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )
        self._new[trial._trial_id] = trial
        self._trials.append(trial)
        return trial._trial_id

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Show a parameter of a new trial to those after it."""
        trial = self._new[trial_id]
        trial.params[param_name] = distribution.to_external_repr(param_value_internal)
        trial.distributions[param_name] = distribution

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Keep a sampler's note on a new trial."""
        self._new[trial_id].system_attrs[key] = value

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Keep a sampler's note on the study."""
        self._system_attrs[key] = self.changed[key] = value

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """A new trial, itself."""
        return self._new[trial_id]

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Trials in these states, themselves."""
        return [trial for trial in self._trials if states is None or trial.state in states]

    def get_study_id_from_name(self, study_name: str) -> int:
        """The one study."""
        return STUDY_ID

    def get_study_name_from_id(self, study_id: int) -> str:
        """The one study."""
        return STUDY_NAME

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """The goal's."""
        return self._directions

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """The samplers' notes on the study."""
        return self._system_attrs

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """None: no sampler looks at them."""
        return {}

    def get_all_studies(self) -> list[FrozenStudy]:
        """Beyond what choosing points needs, as is all below."""
        _refuse()

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """Refused."""
        _refuse()

    def delete_study(self, study_id: int) -> None:
        """Refused."""
        _refuse()

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Refused."""
        _refuse()

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Refused."""
        _refuse()

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Refused."""
        _refuse()

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Refused."""
        _refuse()


def _refuse() -> NoReturn:
    raise NotImplementedError("a batch's view only chooses points")
