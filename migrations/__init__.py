"""The steps of the database's schema, run by ``tuner migrate`` (``tuner/storage/migration.py``)."""
