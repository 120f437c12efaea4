"""What one token may have: so many studies, and so many running trials.

Both are counted by the transaction that adds to them, while it holds the token's row: requests that come at once do not
pass a limit together. A token's row is taken before any study's, by everybody: one order of locks. Where there is no
limit nothing is held and nothing is counted.

A trial counts for the token that asked for it while it runs. One that waits counts for nobody, whoever enqueued it: no
lease of it is held. A lease that ran out is taken up again by a late report even at the limit: to refuse that would be
to throw away what has been computed.
"""

from collections.abc import Collection
from typing import NamedTuple

from tuner.errors import TooManyOpenTrials, TooManyStudies
from tuner.storage import leases, studies, tokens
from tuner.storage.database import Connection


class Quota(NamedTuple):
    """Whose request it is, and how many studies and running trials that token may have; 0: no limit."""

    token_id: int
    studies: int = 0
    open_trials: int = 0


def hold(connection: Connection, quotas: Collection[Quota]) -> None:
    """Let nobody else count for these tokens until the transaction ends; called before a study is opened."""
    if quotas:
        tokens.hold(connection, sorted({quota.token_id for quota in quotas}))


def require_room(connection: Connection, quota: Quota | None) -> None:
    """Check that a token, which is held, has no more studies than it may, the new one among them.

    Raises:
        TooManyStudies: it has.
    """
    if quota is not None and quota.studies and studies.count_of_token(connection, quota.token_id) > quota.studies:
        raise TooManyStudies(
            f"the token has {quota.studies} studies, as many as it may: delete some, or have "
            "TUNER_STUDIES_PER_TOKEN raised"
        )


def open_trials_left(connection: Connection, quotas: Collection[Quota]) -> dict[int, int]:
    """How many more trials each of these tokens, which are held, may run; by its id."""
    most = {quota.token_id: quota.open_trials for quota in quotas}
    running = leases.count_of_tokens(connection, list(most)) if most else {}
    return {token_id: max(0, limit - running.get(token_id, 0)) for token_id, limit in most.items()}


def at_its_limit(quota: Quota) -> TooManyOpenTrials:
    """The refusal of an ask for which nothing is left."""
    return TooManyOpenTrials(
        f"the token holds {quota.open_trials} running trials, as many as it may: tell them or give them back and ask "
        "again, or have TUNER_OPEN_TRIALS_PER_TOKEN raised"
    )
