"""Other libraries' SASRec on the protocol of next_item, judged by our evaluator.

Each peer trains and recommends in a process and an environment of its own (``setup.sh``) and
hands back the items it recommends; it never sees anybody's last item. Popularity and the
library's default stand beside them unless ``--engines`` names others.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError, NotFitted, UnknownName
from shoploom.core.ids import Vocabulary
from shoploom.engines import ENGINES
from shoploom.evaluation import score
from shoploom.tasks import Answers, make_task

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # run as a script, only this folder would be searched

from harness import Benchmark, parser  # noqa: E402
from loaders import LAST, SECOND_LAST, LeaveOneOut, read_leave_one_out  # noqa: E402

PEERS = ("rectools", "replay")
ENGINE_NAMES = ("popularity", "cooccurrence")
METRICS = ("hr@1", "hr@5", "hr@10", "hr@20", "ndcg@5", "ndcg@10", "ndcg@20")


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--peers", default=",".join(PEERS), help="comma-separated names")
    options.add_argument(
        "--epochs", type=int, help="at most; the peers' scripts say when not given"
    )
    chosen = options.parse_args()
    names = chosen.engines.split(",") if chosen.engines else list(ENGINE_NAMES)
    peers = check(chosen.peers.split(","))
    data = read_leave_one_out(chosen.data, seed=chosen.seed)
    run = Benchmark(
        "next_item_peers",
        Path(chosen.data).name,
        {
            "seed": chosen.seed,
            "users": len(data.everything),
            "items": len(data.everything.items),
            "events": len(data.everything.item),
        },
    )
    for name in names:
        _add_engine(run, name, data, chosen.seed)
    add_peers(run, peers, chosen.data, data, seed=chosen.seed, epochs=chosen.epochs)
    run.finish(as_json=chosen.json)


def check(names: Sequence[str]) -> list[str]:
    """The same names, once each is known and has its environment.

    Raises:
        UnknownName: no peer has that name.
        NotFitted: a peer's environment has not been made.
    """
    for name in names:
        if name not in PEERS:
            raise UnknownName("peer", name, PEERS)
        if not _python(name).exists():
            raise NotFitted(
                f"expected the environment of the peer {name!r}, got no {_python(name)}. "
                f"Make it with: sh benchmarks/peers/setup.sh {name}"
            )
    return list(names)


def add_peers(
    run: Benchmark,
    names: Sequence[str],
    path: Path | str,
    data: LeaveOneOut,
    *,
    seed: int,
    epochs: int | None = None,
) -> None:
    """Run each peer, and add its metrics, settings and cost to a benchmark.

    Args:
        run: gets them under ``NAME_sasrec``.
        names: of peers, as ``check`` gives them.
        path: the file that ``data`` was read from.
        data: the protocol by which the answers are judged.
        seed: of the peer's training and of the intervals.
        epochs: the most to train for; None leaves it to the peer's script.
    """
    for name in names:
        label = f"{name}_sasrec"
        answered = ask(name, path, seed=seed, epochs=epochs)
        found = score("ranking", data.test, answered.judgeable(data), seed=seed)
        run.add(label, {metric: found[metric] for metric in METRICS})
        cost = dict(answered.cost)
        run.settings[label] = cost.pop("settings")
        run.timing[label] = cost


@dataclass(frozen=True)
class PeerAnswers:
    """What a peer recommends to every user of a file, and what that cost.

    Attributes:
        items: ``(n_users, k)`` the file's own ids, best first, empty where none is left; users in
            the order of the file.
        cost: settings, epochs, seconds, sequences per second of training and peak RSS.
    """

    items: NDArray[np.str_]
    cost: dict[str, Any]

    def judgeable(self, data: LeaveOneOut) -> Answers:
        """The same as answers to the protocol's test questions.

        Raises:
            DataError: the peer did not answer about the same users.
        """
        if len(self.items) != len(data.test):
            raise DataError(
                f"expected answers for the {len(data.test)} users of the protocol, got "
                f"{len(self.items)}; did both read the same file?"
            )
        # The protocol renames items by a shuffle; the file's ids lead from one to the other.
        names = data.item_names.astype(str)
        order = np.argsort(names)
        place = np.searchsorted(names[order], self.items).clip(max=len(names) - 1)
        codes = np.where(names[order][place] == self.items, order[place], -1)
        catalogue: Vocabulary = data.everything.items
        falling = -np.arange(codes.shape[1], dtype=np.float32)
        return Answers(
            task=data.test.task,
            items=codes.astype(np.int32),
            scores=np.broadcast_to(falling, codes.shape),
            catalogue=catalogue,
        )


def ask(name: str, path: Path | str, *, seed: int, epochs: int | None = None) -> PeerAnswers:
    """Run a peer's script to its end; its progress goes to the standard error.

    Raises:
        DataError: the script failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "answers.npz"
        command = [_python(name), HERE / f"{name}_sasrec.py", "--data", path, "--out", out]
        command += ["--seed", str(seed)]
        if epochs is not None:
            command += ["--epochs", str(epochs)]
        done = subprocess.run(list(map(str, command)), stdout=sys.stderr, check=False)
        if done.returncode:
            raise DataError(
                f"expected answers of {name}_sasrec.py on {path}, got exit status "
                f"{done.returncode}; its own message is above."
            )
        with np.load(out) as answers:
            return PeerAnswers(answers["items"], json.loads(str(answers["cost"])))


def _python(name: str) -> Path:
    return HERE / f".venv-{name}" / "bin" / "python"


def _add_engine(run: Benchmark, name: str, data: LeaveOneOut, seed: int) -> None:
    """One of our engines, tuned on validation and fitted on the training part."""
    past, task = data.inputs.upto(SECOND_LAST), make_task("next_item")
    for at in (SECOND_LAST, LAST):  # the views are the protocol: made before any clock runs
        data.inputs.sequences(at)
    engine = ENGINES.get(name)()
    with run.time(f"{name} tune"):
        engine = engine.tune(past, {task.name: task}, {}, {task.name: data.validation}, seed=seed)
    with run.time(f"{name} fit"):
        fitted = engine.fit(past, {}, {}, seed=seed)
    with run.time(f"{name} answer"):
        answers = fitted.answer(task, data.test.unanswered(), data.inputs, k=20)
    run.settings[name] = engine
    found = score("ranking", data.test, answers, seed=seed)
    run.add(name, {metric: found[metric] for metric in METRICS})


if __name__ == "__main__":
    main()
