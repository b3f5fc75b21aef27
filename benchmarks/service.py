"""How satisfied do customers leave a dialogue, and which reply suits them?

``--data FILE`` is the archive of Taobao's clothes service: 10,000 dialogues of the official parts,
words as numbers, a mood by turn and a satisfaction by dialogue. Learned from the training and
development parts, judged once on the test part: accuracy and macro F1, beside the commonest class
and a linear head on counted words. ``--cv`` judges by five folds of training and development
instead, which is how the method was chosen.

``--worlds N`` simulates N shops whose replies were logged with their chances, learns a policy from
each log, and values it on customers it has not met by the planted chances that each reply suits:
``suits`` is the mean chance, with the interval of the mean over shops; differences are paired.

    python benchmarks/service.py --data service_dialogues_clothes/clothes.zip --json
"""

from __future__ import annotations

import tempfile
import zipfile
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from harness import Benchmark, parser
from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.core.progress import Quiet
from shoploom.core.seeds import rng
from shoploom.evaluation import Estimate
from shoploom.policies.linear import linear
from shoploom.policies.reply.satisfaction import Turns, fit_satisfaction
from shoploom.policies.reply.words import Words
from shoploom.simulate import ShopSpec, simulate
from shoploom.simulate.catalogue import EMOTIONS, INTENTS, REPLIES
from shoploom.simulate.dirt import Dirt
from shoploom.simulate.service import (
    HANDBOOK,
    draw_intents,
    logged_propensities,
    suit_probability,
)
from shoploom.simulate.world import make_world
from shoploom.workflows import load_config
from shoploom.workflows.prepare import prepare
from shoploom.workflows.reply import service
from shoploom.workflows.run import Run

PARTS = ("train", "dev", "test")
ROLES = {"c": c.CUSTOMER, "b": c.AGENT}
Rated = tuple[list[Turns], list[int], list[list[int]]]


def main() -> None:
    options = parser(__doc__ or "", data=False)
    options.add_argument("--data", metavar="FILE", help="clothes.zip")
    options.add_argument("--cv", action="store_true", help="five folds of train and dev")
    options.add_argument("--resamples", type=int, default=1000)
    options.add_argument("--worlds", type=int, default=0, metavar="N", help="simulated shops")
    options.add_argument("--users", type=int, default=8000, help="of each of them")
    given = options.parse_args()
    if not (given.data or given.worlds):
        options.error("give --data or --worlds")
    name = Path(given.data).name if given.data else "simulated shops"
    settings = {"seed": given.seed, "cv": given.cv, "worlds": given.worlds, "users": given.users}
    bench = Benchmark("service", name, settings)
    if given.data:
        satisfaction(bench, given)
    if given.worlds:
        replies(bench, given.worlds, given.users, given.seed)
    bench.finish(as_json=given.json)


def satisfaction(bench: Benchmark, given: Namespace) -> None:
    """Judge satisfaction by folds, or once on the test part."""
    parts = read(Path(given.data))
    known = join(parts["train"], parts["dev"])
    if given.cv:
        fold = np.random.default_rng(given.seed).permutation(len(known[1])) % 5
        found: dict[str, NDArray] = {}
        for one in range(5):
            with bench.time(f"fold {one}"):
                told = predict(
                    take(known, np.flatnonzero(fold != one)),
                    take(known, np.flatnonzero(fold == one)),
                    given.seed,
                )
            for name, values in told.items():
                found.setdefault(name, np.zeros(len(fold), int))[fold == one] = values
        truth = np.array(known[1])
    else:
        with bench.time("all"):
            found = predict(known, parts["test"], given.seed)
        truth = np.array(parts["test"][1])
    for name, values in found.items():
        bench.add(name, scores(truth, values, given.resamples, given.seed))


def replies(bench: Benchmark, worlds: int, users: int, seed: int) -> None:
    """Reply policies of several simulated shops, valued by the planted truth."""
    found: dict[str, list[float]] = {}
    for world in range(worlds):
        with bench.time(f"world {world}"):
            for name, value in one_shop(
                ShopSpec(users=users, content=False, seed=seed + world)
            ).items():
                found.setdefault(name, []).append(value)
    chosen = np.array(found["chosen"])
    for name, values in found.items():
        bench.add(f"reply: {name}", {"suits": mean_of(np.array(values))})
    for name in ("logged", "handbook", "best one for all"):
        bench.add(f"reply: chosen minus {name}", {"suits": mean_of(chosen - found[name])})


def one_shop(spec: ShopSpec) -> dict[str, float]:
    """Mean chance that the replies of each policy suit, on customers who write later."""
    with tempfile.TemporaryDirectory() as folder:
        config = load_config(simulate(Path(folder) / "shop", replace(spec, dirt=Dirt.none())))
        names = pq.read_table(config.folder / "users.parquet")["user_id"].to_pylist()
        run = Run(config.run)
        prepare(config, run, Quiet())
        learned = service(config, run, Quiet())
        world = make_world(spec)
        draw = rng(spec.seed, "customers who write later")
        who = draw.integers(0, len(world.users), 20_000)
        intent, emotion = draw_intents(draw.random(len(who)) < 0.5, draw)
        suits = suit_probability(intent, emotion, world.users.group[who])
        told, _ = learned.choose(
            [INTENTS[code] for code in intent],
            [EMOTIONS[code] for code in emotion],
            [names[code] for code in who],
        )
    rows = np.arange(len(who))
    chosen = np.array([REPLIES.index(name) for name in told])
    return {
        "logged": float((logged_propensities(intent) * suits).sum(axis=1).mean()),
        "handbook": float(suits[rows, HANDBOOK[intent]].mean()),
        "best one for all": float(suits.mean(axis=0).max()),
        "chosen": float(suits[rows, chosen].mean()),
        "clairvoyant": float(suits.max(axis=1).mean()),
    }


def mean_of(values: NDArray) -> tuple[float, float, float]:
    """The mean over shops with its 95 % interval (Student)."""
    from scipy.stats import t

    mean, n = float(values.mean()), len(values)
    half = float(t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0
    return mean, mean - half, mean + half


def read(path: Path) -> dict[str, Rated]:
    """The three parts.

    Raises:
        DataError: the archive lacks one.
    """
    found = {}
    with zipfile.ZipFile(path) as archive:
        for part in PARTS:
            names = [n for n in archive.namelist() if n.endswith(f"text_{part}.txt")]
            names = [n for n in names if not n.startswith("__")]
            if len(names) != 1:
                raise DataError(f"{path}: expected one text_{part}.txt in it, got {len(names)}.")
            found[part] = parse(archive.read(names[0]).decode("utf-8").splitlines())
    return found


def parse(lines: Sequence[str]) -> Rated:
    """Dialogues: a line with the class, then a line per turn, number, role, words, mood."""
    dialogues: list[tuple[list[str], list[str]]] = []
    labels: list[int] = []
    moods: list[list[int]] = []
    for line in lines:
        cells = line.rstrip("\n").split("\t")
        if len(cells) == 1:
            if cells[0].strip():
                dialogues.append(([], []))
                labels.append(int(cells[0]))
                moods.append([])
            continue
        roles, texts = dialogues[-1]
        roles.append(ROLES[cells[1].strip(":")])
        texts.append(cells[2])
        moods[-1].append(int(cells[3]) if len(cells) > 3 and cells[3] else 0)
    return list(dialogues), labels, moods


def predict(known: Rated, asked: Rated, seed: int) -> Mapping[str, NDArray]:
    """The class that each method tells of each dialogue asked of."""
    dialogues, labels, moods = known
    label = np.array(labels)
    commonest = np.full(len(asked[1]), np.bincount(label).argmax())
    both = [[" ".join(texts) for _, texts in part] for part in (dialogues, asked[0])]
    words = Words(both[0], least=3)
    counted = linear(words(both[0]), label).predict(words(both[1]))
    learned = fit_satisfaction(dialogues, labels, moods, seed=seed)
    blind = fit_satisfaction(dialogues, labels, seed=seed)
    classes = np.array(learned.classes)
    return {
        "commonest class": commonest,
        "counted words": counted,
        "satisfaction, no moods": classes[blind.probabilities(asked[0]).argmax(axis=1)],
        "satisfaction": classes[learned.probabilities(asked[0]).argmax(axis=1)],
    }


def join(first: Rated, second: Rated) -> Rated:
    return tuple(a + b for a, b in zip(first, second, strict=True))  # type: ignore[return-value]


def take(some: Rated, rows: NDArray[np.integer]) -> Rated:
    return tuple([part[i] for i in rows.tolist()] for part in some)  # type: ignore[return-value]


def scores(truth: NDArray, told: NDArray, resamples: int, seed: int) -> dict[str, Estimate]:
    """Accuracy and macro F1 with 95 % intervals over dialogues."""
    draw = np.random.default_rng(seed)
    rows = draw.integers(0, len(truth), (resamples, len(truth)))
    out = {}
    for name, measure in (("accuracy", accuracy), ("macro_f1", macro_f1)):
        drawn = [measure(truth[some], told[some]) for some in rows]
        low, high = np.quantile(drawn, (0.025, 0.975))
        out[name] = Estimate(measure(truth, told), float(low), float(high), len(truth))
    return out


def accuracy(truth: NDArray, told: NDArray) -> float:
    return float((truth == told).mean())


def macro_f1(truth: NDArray, told: NDArray) -> float:
    """Mean over classes of 2 TP / (2 TP + FP + FN)."""
    found = []
    for one in np.unique(truth):
        right = float(((truth == one) & (told == one)).sum())
        found.append(2 * right / ((truth == one).sum() + (told == one).sum()))
    return float(np.mean(found))


if __name__ == "__main__":
    main()
