"""Tuner finds the learning rate and the number of steps for gradient descent, and shows why they are right."""

__version__ = "0.1.0"
