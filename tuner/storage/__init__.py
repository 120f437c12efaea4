"""The only SQL in the house: tables, migrations, records, and Optuna's view of them."""

from tuner.storage.optuna_storage import TunerStorage

__all__ = ["TunerStorage"]
