"""A service that is killed by SIGKILL again and again while clients ask and tell: what it acknowledged is there, and
what they sent again was done once."""

import random
from pathlib import Path

from tests.faults.clients import event, running
from tests.faults.records import acknowledged, external, hold_what_was_acknowledged
from tests.faults.scale import LONGEST, times
from tests.faults.service import serving
from tests.faults.trainers import tell_on
from tests.worker.running import eventually
from tuner.storage.database import Database

TOLD = times(2_000, 10_000)
KILLED = times(4, 25)


def test_nothing_acknowledged_is_lost_by_a_service_that_is_killed(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """8 clients, at least 2,000 acknowledged results, 4 deaths; in the long version 10,000 and 25."""
    external(database)
    stop = event()
    with serving(database_url, tmp_path, "--workers", "0") as service:
        with running(tmp_path, 8, tell_on, service.url, "resnet", stop) as crew:
            for death in range(1, KILLED + 1):
                # At a moment that nobody chose.
                goal = (death - random.random() / 2) * TOLD / KILLED
                eventually(lambda goal=goal: acknowledged(crew.logs) >= goal, within=LONGEST)  # type: ignore[misc]
                service.kill()
                service.start()
            eventually(lambda: acknowledged(crew.logs) >= TOLD, within=LONGEST)
            stop.set()
            crew.finish(within=LONGEST)
        hold_what_was_acknowledged(database, crew.logs)
