"""PyTorch: learning rate and steps for a network on scikit-learn's digits, against the defaults of SGD and of Adam.

Run it as ``python -m examples.pytorch_digits``; `examples/README.md` says what to look at.
"""

import sys
from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from examples.serving import address, arguments
from tuner.client import Client, Trial, TrialSnapshot
from tuner.client.pytorch import TrainingLoop

STEPS = 600
"""The most updates that a training may have, and those that the default rate gets."""

BATCH = 64
TRIALS = 25
RULES: dict[str, type[torch.optim.SGD | torch.optim.Adam]] = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}
FINAL_SEEDS = range(100, 105)
"""Of the comparison: none of them took part in the search."""


@dataclass(frozen=True)
class Digits:
    """Images (N, 64) with pixels in 0 … 1, and their digits (N,), in three parts."""

    train: TensorDataset
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


def digits() -> Digits:
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    train, rest = train_test_split(range(len(y)), train_size=0.6, random_state=0, stratify=labels)
    validation, test = train_test_split(rest, train_size=0.5, random_state=0, stratify=labels[rest])
    return Digits(TensorDataset(x[train], y[train]), (x[validation], y[validation]), (x[test], y[test]))


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def batches(data: Digits, seed: int) -> "DataLoader[tuple[Tensor, ...]]":
    generator = torch.Generator().manual_seed(seed)
    return DataLoader(data.train, batch_size=BATCH, shuffle=True, generator=generator)


def update(model: nn.Module, optimizer: torch.optim.Optimizer, inputs: Tensor, labels: Tensor) -> Tensor:
    """One update; the batch's loss before it."""
    loss = nn.functional.cross_entropy(model(inputs), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def measure(model: nn.Module, part: tuple[Tensor, Tensor]) -> tuple[float, float]:
    """Mean cross-entropy in nats, and the share of right answers."""
    with torch.no_grad():
        scores = model(part[0])
    loss = nn.functional.cross_entropy(scores, part[1])
    return loss.item(), (scores.argmax(dim=1) == part[1]).double().mean().item()


def trained(data: Digits, seed: int, rule: str, learning_rate: float, steps: int) -> nn.Module:
    """A network after so many steps."""
    model = network(seed)
    optimizer = RULES[rule](model.parameters(), lr=learning_rate)
    loader = batches(data, seed)
    made = 0
    while made < steps:
        for inputs, labels in loader:
            update(model, optimizer, inputs, labels)
            made += 1
            if made == steps:
                break
    return model


def search(url: str, data: Digits, rule: str, seed: int) -> tuple[float, int]:
    """The best rate and number of steps that a study finds by validation loss."""
    with Client(url) as client:
        study = client.study(
            f"pytorch-digits-{rule.lower()}-{seed}",
            learning_rate=(1e-4, 1.0),
            steps=(50, STEPS),
            goal="minimize validation_loss",
            sampler={"name": "tpe", "seed": seed},
            trials=TRIALS,
        )
        for trial in study:
            with trial:
                model = network(seed)
                optimizer = RULES[rule](model.parameters(), lr=trial.learning_rate)
                loop = TrainingLoop(trial, batches(data, seed))
                for step, (inputs, labels) in loop:
                    loop.report(loss=update(model, optimizer, inputs, labels))
                    if step % 50 == 0:
                        trial.report(step, validation_loss=measure(model, data.validation)[0])
                loss, accuracy = measure(model, data.validation)
                trial.tell(validation_loss=loss, accuracy=accuracy)
                print(f"{rule} {trial.number:2}: {described(trial)}: validation loss {loss:.4f}")
        best = study.best
    print(f"{rule}, best: {described(best)}\n")
    return best.learning_rate, best.steps


def described(trial: Trial | TrialSnapshot) -> str:
    return f"rate {trial.learning_rate:.2g}, {trial.steps} steps"


def main() -> int:
    chosen = arguments(__doc__).parse_args()
    torch.set_num_threads(1)
    data = digits()
    with address(chosen.url) as url:
        found = {rule: search(url, data, rule, chosen.seed) for rule in RULES}
    print(f"PyTorch {torch.__version__.partition('+')[0]}; {len(data.test[1])} test images, never looked at so far")
    for rule, (learning_rate, steps) in found.items():
        default = RULES[rule]([torch.zeros(1)]).defaults["lr"]
        print(
            f"\n{rule:<6} {f'default rate {default:g}, {STEPS} steps':<32}found rate {learning_rate:.2g}, {steps} steps"
        )
        for seed in FINAL_SEEDS:
            networks = trained(data, seed, rule, default, STEPS), trained(data, seed, rule, learning_rate, steps)
            results = ["loss {:.4f}, accuracy {:.3f}".format(*measure(network, data.test)) for network in networks]
            print(f"{seed:<6} {results[0]:<32}{results[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
