"""The client of training programs: ask for a trial, train, report, tell. It loads httpx and nothing of the service.

    from tuner.client import Client

    client = Client("http://127.0.0.1:8000")
    study = client.study("resnet", learning_rate=(1e-5, 1e-1), steps=(100, 5000), trials=50)
    for trial in study:
        ...

The guide is ``docs/client.md``. Errors are those of `tuner.errors`, and the two below.
"""

from tuner.client.client import Client
from tuner.client.errors import ServiceUnreachable, UnexpectedAnswer
from tuner.client.findings import FrontPoint, RateSurface
from tuner.client.measurements import RangeTest, Stability
from tuner.client.snapshot import TrialSnapshot
from tuner.client.space import log
from tuner.client.study import Study
from tuner.client.trial import Trial

__all__ = [
    "Client",
    "FrontPoint",
    "RangeTest",
    "RateSurface",
    "ServiceUnreachable",
    "Stability",
    "Study",
    "Trial",
    "TrialSnapshot",
    "UnexpectedAnswer",
    "log",
]
