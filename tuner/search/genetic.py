"""Optuna's NSGA-II for a study whose past is forgotten: the same choices, and no way back through every generation."""

from optuna import samplers
from optuna.study import Study
from optuna.trial import FrozenTrial


class NSGAIISampler(samplers.NSGAIISampler):
    """Optuna's. So is its name: what is noted on trials and on the study is called after the class."""

    def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        """The parents of a generation; none where neither they are noted nor the generation before is shown.

        Optuna would look for them in the generation before that, and so on down to the first. It comes to that only
        where several whole generations have been excluded.
        """
        noted = study._storage.get_study_system_attrs(study._study_id)
        if f"{self._get_parent_cache_key_prefix()}{generation}" not in noted and not self.get_population(
            study, generation - 1
        ):
            return []
        return super().get_parent_population(study, generation)
