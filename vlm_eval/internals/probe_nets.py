"""Supervised probes: a linear map and a three-layer MLP, trained and calibrated the same way."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

Kind: TypeAlias = Literal["mlp", "linear"]
_Floats: TypeAlias = NDArray[np.float32] | NDArray[np.float64]
_LIMIT = math.log(1e3)


class Examples(NamedTuple):
    """States, shape (rows, width), and their classes, shape (rows,)."""

    states: NDArray[np.float32]
    classes: NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a probe is trained. All are our defaults (spec A4), none is the paper's.

    Attributes
    ----------
    hidden
        Widths of the MLP's hidden layers.
    dropout
        After each of them.
    lr, weight_decay
        Of AdamW.
    batch
        Rows a step.
    epochs, patience
        At most so many epochs; it ends after so many without a smaller loss on validation.
    device
        Where it is trained.
    """

    hidden: tuple[int, ...] = (1024, 256)
    dropout: float = 0.1
    lr: float = 1e-3
    weight_decay: float = 1e-2
    batch: int = 256
    epochs: int = 100
    patience: int = 10
    device: str = "cpu"


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained and calibrated probe.

    Attributes
    ----------
    temperature
        What its logits are divided by.
    epochs
        How many it was trained for, up to the best one.
    """

    net: nn.Module
    centre: Tensor
    scale: Tensor
    temperature: float
    epochs: int

    @torch.inference_mode()
    def probabilities(self, states: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probabilities of the classes, shape (rows, classes), each row summing to 1."""
        logits = self.net(_standardised(states, self.centre, self.scale)).double()
        found: NDArray[np.float64] = (logits / self.temperature).softmax(-1).cpu().numpy()
        return found


def fit(
    kind: Kind, train: Examples, val: Examples, classes: int, training: Training, seed: int
) -> Fitted:
    """Train a probe on standardised states with class-balanced cross entropy, and calibrate it.

    The weights are those of the epoch with the smallest validation loss; the temperature is fitted
    on validation. The result depends on the arguments alone, on one device.

    Parameters
    ----------
    kind
        ``linear``, which begins at zero; or ``mlp``: linear maps with GELU and dropout between.
    train, val
        What it is trained on, and what decides when it ends; one row or more each.
    classes
        How many classes there are; some may have no row.
    training
        How.
    seed
        Of the weights, the order of the rows, and dropout.
    """
    centre = train.states.mean(0, dtype=np.float64)
    scale = train.states.std(0, dtype=np.float64)
    scale[scale == 0] = 1.0
    device = torch.device(training.device)
    shift, width = (
        torch.tensor(each, dtype=torch.float32, device=device) for each in (centre, scale)
    )
    x, x_val = (_standardised(part.states, shift, width) for part in (train, val))
    y, y_val = (torch.from_numpy(part.classes).to(device) for part in (train, val))
    weights = torch.tensor(
        class_weights(train.classes, classes), dtype=torch.float32, device=device
    )
    with _seeded(seed, device):
        net = _net(kind, x.shape[1], classes, training).to(device)
        epochs = _train(net, (x, y), (x_val, y_val), weights, training)
    with torch.inference_mode():
        logits = net(x_val).double().cpu().numpy()
    return Fitted(net, shift, width, fit_temperature(logits, val.classes), epochs)


def class_weights(labels: NDArray[np.intp], classes: int) -> NDArray[np.float64]:
    """Return n / (K n_c) for each class c of n rows in K classes; 1 for a class without rows."""
    counts = np.bincount(labels, minlength=classes).astype(np.float64)
    present = counts > 0
    weights = np.ones(classes)
    weights[present] = len(labels) / (present.sum() * counts[present])
    return weights


def fit_temperature(logits: _Floats, labels: NDArray[np.intp]) -> float:
    """Return the temperature that makes softmax(logits / temperature) most likely.

    Guo et al. 2017, section 4.2. The likelihood is concave in 1 / temperature, which is searched
    between 0.001 and 1,000: a probe that is always right on validation ends at a bound.

    Parameters
    ----------
    logits
        Shape (rows, classes).
    labels
        Shape (rows,).
    """
    from scipy.optimize import minimize_scalar

    shifted = np.asarray(logits, np.float64) - np.max(logits, axis=1, keepdims=True)
    right = shifted[np.arange(len(labels)), labels]

    def loss(log_beta: float) -> float:
        scaled = math.exp(log_beta) * shifted
        return float((np.log(np.exp(scaled).sum(1)) - math.exp(log_beta) * right).mean())

    found = minimize_scalar(
        loss, bounds=(-_LIMIT, _LIMIT), method="bounded", options={"xatol": 1e-6}
    )
    return math.exp(-float(found.x))


def _standardised(states: NDArray[np.float32], centre: Tensor, scale: Tensor) -> Tensor:
    given = torch.from_numpy(np.ascontiguousarray(states, dtype=np.float32)).to(centre.device)
    return (given - centre) / scale


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch within the context, and leave its generators as they were."""
    with torch.random.fork_rng([] if device.type == "cpu" else [device], device_type=device.type):
        torch.manual_seed(seed)
        yield


def _net(kind: Kind, width: int, classes: int, training: Training) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size in training.hidden if kind == "mlp" else ():
        layers += [nn.Linear(width, size), nn.GELU(), nn.Dropout(training.dropout)]
        width = size
    last = nn.Linear(width, classes)
    if kind == "linear":  # a few small steps must not be lost in random weights
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)


def _train(
    net: nn.Module,
    train: tuple[Tensor, Tensor],
    val: tuple[Tensor, Tensor],
    weights: Tensor,
    training: Training,
) -> int:
    """Train until validation stops getting better; return the best epoch, whose weights it has."""
    optimiser = torch.optim.AdamW(
        net.parameters(), lr=training.lr, weight_decay=training.weight_decay
    )
    best, kept, epoch_of_best = math.inf, copy.deepcopy(net.state_dict()), 0
    x, y = train
    for epoch in range(1, training.epochs + 1):
        net.train()
        for rows in torch.split(torch.randperm(len(x)).to(x.device), training.batch):
            optimiser.zero_grad()
            loss = functional.cross_entropy(net(x[rows]), y[rows], weights)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        net.eval()
        with torch.inference_mode():
            now = float(functional.cross_entropy(net(val[0]), val[1], weights))
        if now < best:
            best, epoch_of_best = now, epoch
            kept = {name: value.clone() for name, value in net.state_dict().items()}
        elif epoch - epoch_of_best >= training.patience:
            break
    net.load_state_dict(kept)
    net.eval()
    return epoch_of_best
