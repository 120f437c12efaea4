"""Objectives that a user might bring: f(x) = x² from x = 1, each with a vice of its own."""

import os
import sys
import time
from pathlib import Path

import numpy as np

from tuner.objectives import Array, register


@register("bowl")
class Bowl:
    """x²."""

    dimension = 1

    def __init__(self, log: str = "") -> None:
        self.log = Path(log) if log else None

    def initial_parameters(self, seed: int) -> Array:
        return np.ones(1)

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(f"{len(parameters)}\n")
        return parameters[:, 0] ** 2, 2 * parameters


@register("slow_bowl")
class SlowBowl(Bowl):
    """x², after a while; the first few calls are quick."""

    def __init__(self, seconds: float = 0.01, log: str = "", quick: int = 0) -> None:
        super().__init__(log)
        self.seconds = seconds
        self.quick = quick

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        if self.quick:
            self.quick -= 1
        else:
            time.sleep(self.seconds)
        return super().value_and_gradient(parameters)


@register("fragile_bowl")
class FragileBowl(Bowl):
    """x², which breaks against the protocol where x is large."""

    def __init__(self, rim: float = 10.0) -> None:
        super().__init__()
        self.rim = rim

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        if np.any(np.abs(parameters) > self.rim):
            raise ArithmeticError("over the rim")
        return super().value_and_gradient(parameters)


@register("crooked_bowl")
class CrookedBowl(Bowl):
    """Answers one loss too many."""

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        return np.ones(len(parameters) + 1), parameters


@register("twisted_bowl")
class TwistedBowl(Bowl):
    """x², and half its gradient."""

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        values, gradients = super().value_and_gradient(parameters)
        return values, gradients / 2


@register("leaving_bowl")
class LeavingBowl(Bowl):
    """Takes the whole process for its own, where |x| is at least ``rim``."""

    def __init__(self, politely: bool = True, rim: float = 0.0) -> None:
        super().__init__()
        self.politely = politely
        self.rim = rim

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        if np.all(np.abs(parameters) < self.rim):
            return super().value_and_gradient(parameters)
        if self.politely:
            sys.exit(0)
        raise KeyboardInterrupt


@register("talking_bowl")
class TalkingBowl(Bowl):
    """Prints, in one way and another."""

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        print("printed")
        os.write(1, b"written\n")
        return super().value_and_gradient(parameters)
