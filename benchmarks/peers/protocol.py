"""What both sides of a peer's run share: the protocol's parts, and the file of answers.

Needs numpy alone, because it is imported inside the peers' own environments. A peer never holds
the last item of a user: ``read`` drops it. Items are codes in a seeded shuffle, because the files
number them by first appearance, and that order tells the future.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

K = 20  # items recommended to a user
NONE = ""  # where a peer has no item left to recommend
SHORTEST = 3  # users with fewer items have nothing to train on and are left out


@dataclass(frozen=True)
class Histories:
    """Every user's items in time order, without the last one, which is the test.

    Attributes:
        items: ``(n_items,)`` the file's own id of each code.
        past: one array of codes per user, in the order of the file; its last item is validation.
    """

    items: NDArray[np.str_]
    past: list[NDArray[np.int64]]

    @property
    def train(self) -> list[NDArray[np.int64]]:
        """What may be learned from."""
        return [codes[:-1] for codes in self.past]

    @property
    def validation(self) -> NDArray[np.int64]:
        """``(n_users,)`` the item that follows ``train``; for early stopping only."""
        return np.array([codes[-1] for codes in self.past])


def read(path: Path | str, *, seed: int) -> Histories:
    """The histories of a file with lines of ``user item item ...`` in time order.

    Raises:
        ValueError: no user has three items.
    """
    lines = (line.split()[1:] for line in Path(path).read_text(encoding="utf-8").splitlines())
    kept = [words[:-1] for words in lines if len(words) >= SHORTEST]
    if not kept:
        raise ValueError(
            f"{path}: expected lines of a user and at least three items, got none; is it a file "
            "of 'user item item ...'?"
        )
    items, codes = np.unique(np.concatenate(kept), return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(items))
    shuffled = np.empty_like(items)
    shuffled[order] = items
    ends = np.cumsum([len(words) for words in kept])[:-1]
    return Histories(shuffled, np.split(order[codes.ravel()], ends))


def ndcg_at_10(top: NDArray[np.integer], target: NDArray[np.integer]) -> float:
    """NDCG@10 with one relevant item per user.

    Args:
        top: ``(n_users, k)`` codes, best first.
        target: ``(n_users,)`` the code that came.
    """
    rank = np.nonzero(top[:, :10] == target[:, None])[1]
    return float(np.sum(1 / np.log2(rank + 2)) / len(target))


class Training:
    """The course of a training: its seconds, and the weights of the epoch that validates best.

    Args:
        patience: epochs without a better one after which to stop.
    """

    def __init__(self, *, patience: int):
        self.patience = patience
        self.epochs = self.best_epoch = 0
        self.best, self.weights = -1.0, {}
        self.wall_s = self.cpu_s = 0.0

    def start_epoch(self) -> None:
        """Start the clock of an epoch."""
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def end_epoch(self) -> None:
        """Stop the clock; what validation costs is not training."""
        self.wall_s += time.perf_counter() - self._wall
        self.cpu_s += time.process_time() - self._cpu
        self.epochs += 1

    def judge(self, ndcg: float, weights: Mapping[str, Any]) -> bool:
        """Keep a copy of the weights if they are the best yet; True when it is time to stop."""
        if ndcg > self.best:
            self.best, self.best_epoch = ndcg, self.epochs
            self.weights = {name: value.clone() for name, value in weights.items()}
        print(
            f"epoch {self.epochs}: validation NDCG@10 {ndcg:.4f}, {self.wall_s:.0f} s", flush=True
        )
        return self.epochs - self.best_epoch >= self.patience


@dataclass(frozen=True)
class Trained:
    """A peer that has learned.

    Attributes:
        settings: JSON-able, worth printing beside the numbers.
        training: its course.
        recommend: gives ``(n_users, K)`` codes of unseen items from everybody's whole past, best
            first, -1 where none is left.
    """

    settings: dict[str, Any]
    training: Training
    recommend: Callable[[], NDArray[np.int64]]


def main(description: str, train: Callable[[Histories, int, int], Trained]) -> None:
    """Read the data, train, recommend; write the answers and print what they cost as JSON.

    Args:
        description: of the script.
        train: trains on histories with a seed, for so many epochs at most.
    """
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--data", required=True, metavar="FILE", help="user item item ... lines")
    options.add_argument("--out", required=True, metavar="FILE", help="answers, an .npz file")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--epochs", type=int, default=100, help="at most; stops early")
    chosen = options.parse_args()
    start = time.perf_counter()
    data = read(chosen.data, seed=chosen.seed)
    peer = train(data, chosen.seed, chosen.epochs)
    training = peer.training
    learned = time.perf_counter() - start
    top = peer.recommend()
    answered = time.perf_counter() - start - learned
    sequences = sum(len(codes) > 1 for codes in data.train)
    cost = {
        "settings": peer.settings,
        "epochs": training.epochs,
        "best_epoch": training.best_epoch,
        "validation_ndcg@10": round(training.best, 4),
        "train_wall_s": round(training.wall_s, 1),
        "train_cpu_s": round(training.cpu_s, 1),
        "sequences_per_s": round(sequences * training.epochs / training.wall_s, 1),
        "answer_wall_s": round(answered, 1),
        "wall_s": round(time.perf_counter() - start, 1),
        "cpu_s": round(time.process_time(), 1),  # since the interpreter started, imports included
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    names = np.append(data.items, NONE)  # -1 is the last one
    np.savez_compressed(chosen.out, items=names[top], cost=json.dumps(cost))
    print(json.dumps(cost))
