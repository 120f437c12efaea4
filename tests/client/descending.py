"""Gradient descent whose curve is known: f(x) = 3/2 · x² from x = 1, so that after k updates x = (1 - 3 · rate)^k."""

from typing import Any

import httpx

from tuner.client import Client, Trial

CURVATURE = 3.0
RATE = 0.1


def loss_after(updates: int, rate: float = RATE) -> float:
    """The loss after so many updates, by the closed form."""
    return CURVATURE / 2 * (1 - CURVATURE * rate) ** (2 * updates)


def one_trial(client: Client, steps: int, rate: float = RATE, **options: Any) -> Trial:
    """A trial at a fixed rate and number of steps."""
    [trial] = client.study("s", learning_rate=rate, steps=steps, sampler="random", **options).ask()
    return trial


def curve(url: str, metric: str = "loss", number: int = 0) -> dict[int, float | str]:
    """A metric's value by step, as the service shows it."""
    answer = httpx.get(f"{url}/v1/studies/s/trials/{number}/curve?max_points=100000", timeout=30).raise_for_status()
    found = answer.json()["curves"].get(metric, {"steps": [], "values": []})
    return dict(zip(found["steps"], found["values"], strict=True))
