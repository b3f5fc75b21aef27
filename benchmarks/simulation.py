"""Speed and truth of the simulated shop.

    python benchmarks/simulation.py [--users 2000 --items 800 --log-users 75000] [--json]

Three parts: the whole shop with photos, films and texts; the log alone (``--log-users`` people,
10,000 items) with its rows per second and peak memory, each in a process of its own; and what
simple means find: the planted elasticities, and how well a bag of words tells good reviews from
bad ones and what a customer wants (80/20 by hash of the text).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness import Benchmark, parser, peak_rss_mb
from shoploom.core import columns as c


def simulate_here(arguments: argparse.Namespace, out: Path) -> None:
    """Write one shop, saying its cost as JSON; runs in a process of its own."""
    import json

    from shoploom.simulate import Dirt, ShopSpec, simulate

    users = arguments.log_users if arguments.log_only else arguments.users
    spec = ShopSpec(
        users=users,
        items=10_000 if arguments.log_only else arguments.items,
        days=arguments.days,
        seed=arguments.seed,
        content=not arguments.log_only,
        dirt=Dirt.none() if arguments.log_only else Dirt(),
    )
    wall = time.perf_counter()
    simulate(out, spec)
    import resource

    own, children = (
        resource.getrusage(kind) for kind in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    cost = {
        "wall_s": round(time.perf_counter() - wall, 2),
        "cpu_s": round(sum(u.ru_utime + u.ru_stime for u in (own, children)), 2),
        "peak_rss_mb": round(peak_rss_mb()),
        "events": pq.ParquetFile(out / "events.parquet").metadata.num_rows,
    }
    print(json.dumps(cost))


def cost_of(arguments: argparse.Namespace, out: Path, *, log_only: bool) -> dict[str, float]:
    """What writing one shop costs, measured in a fresh process."""
    import json

    command = [sys.executable, __file__, "--out", str(out), "--days", str(arguments.days)]
    command += ["--users", str(arguments.users), "--items", str(arguments.items)]
    command += ["--log-users", str(arguments.log_users), "--seed", str(arguments.seed)]
    done = subprocess.run(
        [*command, *(["--log-only"] if log_only else [])],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def same_bytes(one: Path, other: Path) -> bool:
    """Whether two shop folders hold the same files with the same bytes."""
    names = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    others = sorted(p.relative_to(other) for p in other.rglob("*") if p.is_file())
    return names == others and all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in names
    )


def bag_of_words(texts: list[str], labels: np.ndarray) -> float:
    """Accuracy of TF-IDF with logistic regression, 80/20 by hash of the text."""
    import zlib

    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    test = np.array([zlib.crc32(text.encode()) % 5 == 0 for text in texts])
    words = np.array(texts, object)
    # Words in English, single characters and pairs in Chinese.
    model = make_pipeline(
        TfidfVectorizer(token_pattern=r"[a-zA-Z']+|[\u4e00-\u9fff]", ngram_range=(1, 2)),
        LogisticRegression(max_iter=2_000, C=10),
    )
    model.fit(words[~test], labels[~test])
    return float((model.predict(words[test]) == labels[test]).mean())


def text_accuracies(shop: Path) -> dict[str, float]:
    """How well a bag of words reads the shop's texts, by language."""
    reviews = pq.read_table(shop / "reviews.parquet")
    rating = reviews[c.RATING].to_numpy()
    texts = np.array(reviews[c.TEXT].fill_null("").to_pylist(), object)
    chinese = np.array([any("\u4e00" <= letter <= "\u9fff" for letter in text) for text in texts])
    clear = (rating != 3) & (texts != "")
    found = {}
    for name, of_language in (("en", ~chinese), ("zh", chinese)):
        rows = clear & of_language
        found[f"review polarity {name}"] = bag_of_words(list(texts[rows]), rating[rows] >= 4)
    turns = pq.read_table(shop / "dialogues.parquet")
    opening = turns.filter(pc.is_valid(turns[c.INTENT]))
    said = opening[c.TEXT].to_pylist()
    intent = np.array(opening[c.INTENT].to_pylist())
    found["intent of the opening turn"] = bag_of_words(said, intent)
    return found


def elasticities(shop: Path) -> dict[str, tuple[float, float]]:
    """Planted and found elasticity by group of users and items, from the price test."""
    import json

    truth = json.loads((shop / "truth/truth.json").read_text())
    exposures = pq.read_table(shop / "exposures.parquet")
    tests = exposures.filter(pc.starts_with(exposures[c.ARM], "price:"))
    arm = np.array([float(name.split(":")[1]) for name in tests[c.ARM].to_pylist()])
    context = [json.loads(text) for text in tests[c.CONTEXT].to_pylist()]
    units = tests[c.SPEND].to_numpy() / np.array([row["price"] for row in context])
    users = pq.read_table(shop / "truth/users.parquet", columns=[c.USER_ID, "group"]).to_pydict()
    items = pq.read_table(shop / "truth/items.parquet", columns=[c.ITEM_ID, "group"]).to_pydict()
    of_user = dict(zip(users[c.USER_ID], users["group"], strict=True))
    of_item = dict(zip(items[c.ITEM_ID], items["group"], strict=True))
    user_group = np.array([of_user[name] for name in tests[c.USER_ID].to_pylist()])
    item_group = np.array([of_item[row[c.ITEM_ID]] for row in context])
    found = {}
    for user, row in truth["elasticity"].items():
        for item, planted in row.items():
            rows = (user_group == user) & (item_group == item)
            found[f"{user}, {item}"] = (-planted, _slope(np.log(arm[rows]), units[rows]))
    return found


def _slope(x: np.ndarray, units: np.ndarray) -> float:
    """The slope of log E[units] on x: Poisson regression."""
    from sklearn.linear_model import PoissonRegressor

    return float(PoissonRegressor(alpha=0, max_iter=500).fit(x[:, None], units).coef_[0])


def main() -> None:
    """Simulate, measure and print."""
    options = parser(__doc__ or "", data=False)
    options.formatter_class = argparse.RawDescriptionHelpFormatter
    options.add_argument("--users", type=int, default=2_000)
    options.add_argument("--items", type=int, default=800)
    options.add_argument("--days", type=int, default=180)
    options.add_argument("--log-users", type=int, default=75_000, help="people of the log alone")
    options.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--log-only", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.out is not None:
        simulate_here(given, given.out)
        return
    settings = {"users": given.users, "items": given.items, "days": given.days, "seed": given.seed}
    benchmark = Benchmark("simulation", "a shop with planted truth", settings)
    with tempfile.TemporaryDirectory(prefix="simulation-") as folder:
        whole, again, log = (Path(folder) / name for name in ("whole", "again", "log"))
        cost = cost_of(given, whole, log_only=False)
        benchmark.add("whole shop", cost)
        cost_of(given, again, log_only=False)
        benchmark.settings["same seed, same bytes"] = same_bytes(whole, again)
        cost = cost_of(given, log, log_only=True)
        cost["events_per_s"] = cost["events"] / cost["wall_s"]
        cost["events_per_cpu_s"] = cost["events"] / cost["cpu_s"]
        benchmark.add("log alone", cost)
        for name, accuracy in text_accuracies(whole).items():
            benchmark.add(f"bag of words: {name}", {"accuracy": accuracy})
        for name, (planted, found) in elasticities(log).items():
            benchmark.add(f"elasticity: {name}", {"planted": planted, "found": found})
    benchmark.finish(as_json=given.json)


if __name__ == "__main__":
    main()
