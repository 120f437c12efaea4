"""The only SQL in the house: tables, migrations, records, and Optuna's view of them."""
