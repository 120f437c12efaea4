"""Pure numerics on curves and objectives: no database, no Optuna, no clock."""
