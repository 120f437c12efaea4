"""The HTTP door, served for real on each database, for what is asked of it alone."""

from tests.api.conftest import client, served

__all__ = ["client", "served"]
