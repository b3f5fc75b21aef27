"""Photos: a linear probe on frozen vectors, and images per second and core (targets, section 8).

``--data FILE.parquet`` has the columns image (bytes of a file), a label (``--label``) and perhaps
split. Trained on ``train``; the penalty is chosen on ``validation``, or on a fifth of ``train`` by
hash of the photo where there is none; judged on ``test``, or ``val`` where there is no ``test``.
Without a split, a fifth by hash is judged. Beside it stand the most frequent label, and the same
probe on colour histograms.

``--shop DIR`` is a simulated shop (``shoploom simulate DIR``): how much of each planted style axis
(R2, five folds) ridge regression finds in the photos' vectors, beside brand and category, and
beside item numbers, which can know nothing.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from harness import Benchmark, parser
from shoploom.core.columns import BRAND, CATEGORY, IMAGE, ITEM_ID
from shoploom.core.errors import DataError
from shoploom.encoders import make_encoder
from shoploom.encoders.images import Unreadable, read_image
from shoploom.evaluation.intervals import mean_interval
from shoploom.simulate.catalogue import STYLE_AXES

PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
LABELS = ("label", "coarse", "category", "product_type")
SPEED_IMAGES = 300


def main() -> None:
    options = parser(__doc__, data=False)
    options.add_argument("--data", metavar="PATH", help="Parquet with image bytes and a label")
    options.add_argument("--label", help=f"its column; the first of {', '.join(LABELS)}")
    options.add_argument("--shop", metavar="DIR", help="a simulated shop")
    options.add_argument("--encoder", default="efficientnet")
    chosen = options.parse_args()
    if not chosen.data and not chosen.shop:
        options.error("give --data FILE.parquet, --shop DIR or both")
    run = Benchmark(
        "images",
        " and ".join(str(path) for path in (chosen.data, chosen.shop) if path),
        {"seed": chosen.seed, "encoder": chosen.encoder, "threads": 1},
    )
    if chosen.data:
        probe(run, Path(chosen.data), chosen.label, chosen.encoder, chosen.seed)
    if chosen.shop:
        style(run, Path(chosen.shop), chosen.encoder, chosen.seed)
    speed(run, chosen.encoder)
    run.finish(as_json=chosen.json)


# The linear probe


def probe(run: Benchmark, path: Path, label: str | None, encoder: str, seed: int) -> None:
    names = pq.read_schema(path).names
    label = label or next((name for name in LABELS if name in names), None)
    if label is None or IMAGE not in names:
        raise DataError(
            f"{path}: expected the column {IMAGE} and one of {', '.join(LABELS)} (or --label), "
            f"got {', '.join(names)}."
        )
    columns = [IMAGE, label] + (["split"] if "split" in names else [])
    table = pq.read_table(path, columns=columns)
    images = table[IMAGE].to_pylist()
    vectors, present = encode(run, encoder, images, "photos")
    floor = np.stack([colour_histogram(image) for image in images])
    labels = np.array([str(value) for value in table[label].to_pylist()])
    part = split_of(images, table["split"].to_pylist() if "split" in names else None)
    part[~present] = "unreadable"
    run.settings |= {
        "label": label,
        "labels": len(set(labels)),
        "photos": {str(name): int((part == name).sum()) for name in np.unique(part)},
    }
    test = part == "test"
    photos = np.array([digest(image) for image in images])[test]
    for name, inputs in (("floor: colours", floor), (encoder, vectors)):
        said = fit_probe(run, name, inputs, labels, part)
        run.add(name, accuracies(said, labels[test], photos, seed))
    values, counts = np.unique(labels[np.isin(part, ("train", "validation"))], return_counts=True)
    usual = np.full(test.sum(), values[np.argmax(counts)])
    run.add("floor: most frequent", accuracies(usual, labels[test], photos, seed))


def digest(image: bytes) -> str:
    return hashlib.blake2b(image or b"", digest_size=8).hexdigest()


def split_of(images: Sequence[bytes], given: Sequence[str] | None) -> NDArray[np.str_]:
    """train, validation, test or unused for each photo."""
    fifth = np.array([int(digest(image), 16) % 5 for image in images])
    if given is None:
        part = np.where(fifth == 0, "test", "train").astype("<U12")
        fifth = np.array([int(digest(image)[:8], 16) // 7 % 5 for image in images])
    else:
        part = np.array([str(name) for name in given]).astype("<U12")
        if "test" not in part:
            part[part == "val"] = "test"
        part[~np.isin(part, ("train", "validation", "test"))] = "unused"
    if "validation" not in part:
        part[(part == "train") & (fifth == 0)] = "validation"
    return part


def fit_probe(
    run: Benchmark, name: str, inputs: NDArray, labels: NDArray, part: NDArray
) -> NDArray:
    """Labels of the test part, the penalty chosen on validation, then fitted on both."""
    train, valid, test = (part == name for name in ("train", "validation", "test"))

    def fitted(penalty: float, rows: NDArray) -> LogisticRegression:
        scaled = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=2000))
        return scaled.fit(inputs[rows], labels[rows])

    with run.time(f"{name}: probe"):
        scores = [fitted(c, train).score(inputs[valid], labels[valid]) for c in PENALTIES]
        best = PENALTIES[int(np.argmax(scores))]
        run.settings[f"penalty of {name}"] = best
        return fitted(best, train | valid).predict(inputs[test])


def accuracies(said: NDArray, truth: NDArray, photos: NDArray, seed: int) -> dict[str, object]:
    """Accuracy over photos (copies of one photo count as one draw) and mean over labels."""
    right = (said == truth).astype(float)
    balanced = np.mean([right[truth == label].mean() for label in np.unique(truth)])
    interval = mean_interval(right, photos.astype(object), seed=seed)
    return {"accuracy": interval, "balanced_accuracy": float(balanced)}


def colour_histogram(image: bytes) -> NDArray[np.float32]:
    """4 x 4 x 4 colours in each quarter of a photo, square roots of shares."""
    seen = read_image(image, 64)
    if isinstance(seen, Unreadable):
        return np.zeros(256, np.float32)
    rows, columns = (np.arange(side) * 2 // side for side in seen.shape[:2])
    quarter = rows[:, None] * 2 + columns[None, :]
    colour = (seen >> 6).astype(int) @ [16, 4, 1]
    counts = np.bincount((quarter * 64 + colour).ravel(), minlength=256)
    return np.sqrt(counts / counts.sum()).astype(np.float32)


def encode(
    run: Benchmark, encoder: str, images: Sequence[object], label: str
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    model = one_thread(encoder)
    with run.time(f"{label}: encode"):
        encoded = model.encode(images)
    timing = run.timing[f"{label}: encode"]
    timing["images_per_cpu_s"] = round(len(images) / max(timing["cpu_s"], 1e-9), 1)
    return encoded.vectors, encoded.present


def one_thread(encoder: str) -> Any:
    """The encoder on one thread, where it has such a setting."""
    settings = {"threads": 1} if encoder == "efficientnet" else {}
    return make_encoder(encoder, **settings).fit([])


# Style on the simulated shop


def style(run: Benchmark, shop: Path, encoder: str, seed: int) -> None:
    items = pq.read_table(shop / "items.parquet").to_pandas()
    truth = pq.read_table(shop / "truth" / "items.parquet").to_pandas()
    items = items.drop_duplicates(ITEM_ID).merge(truth, on=ITEM_ID, suffixes=("", "_true"))
    paths = [shop / name if isinstance(name, str) else None for name in items[IMAGE]]
    vectors, present = encode(run, encoder, paths, "shop photos")
    items, vectors = items[present].reset_index(drop=True), vectors[present]
    run.settings |= {"items": len(paths), "items with a readable photo": len(items)}
    known = items[[BRAND, CATEGORY]].fillna("?").astype(str)
    number = items[ITEM_ID].str.extract(r"(\d+)").astype(float).to_numpy()
    inputs = {
        "floor: item numbers": (StandardScaler(), number),
        "floor: brand and category": (OneHotEncoder(handle_unknown="ignore"), known),
        f"photos: {encoder}": (StandardScaler(), np.sqrt(np.maximum(vectors, 0))),
    }
    folds = KFold(5, shuffle=True, random_state=seed)
    for name, (scale, columns) in inputs.items():
        model = make_pipeline(scale, RidgeCV(np.logspace(-1, 5, 13)))
        found = {}
        for axis in STYLE_AXES:
            target = items[f"style_{axis}"].to_numpy()
            said = cross_val_predict(model, columns, target, cv=folds)
            found[f"r2_{axis}"] = r2(target, said, seed)
        run.add(name, found)


def r2(target: NDArray, said: NDArray, seed: int) -> tuple[float, float, float]:
    """R2 of held-out predictions with its 95 % bootstrap interval over items."""
    draws = np.random.default_rng(seed).integers(0, len(target), (500, len(target)))

    def value(rows: NDArray) -> NDArray:
        wrong = ((target[rows] - said[rows]) ** 2).mean(-1)
        return 1 - wrong / target[rows].var(-1)

    low, high = np.percentile(value(draws), [2.5, 97.5])
    return float(value(np.arange(len(target)))), float(low), float(high)


# Speed


def speed(run: Benchmark, encoder: str) -> None:
    """Images per CPU second on one thread, and what the processor can multiply at best."""
    random = np.random.default_rng(0)
    model = one_thread(encoder)
    pixels = random.integers(0, 256, (32, model.size, model.size, 3), dtype=np.uint8)
    jpegs = [jpeg(random, 800) for _ in range(20)]

    run.timing["from pixels"] = {
        f"images_per_cpu_s, {model.size} px": per_cpu_s(lambda: model.embed(pixels), len(pixels))
    }
    run.timing["from JPEG, 800 px"] = {
        "read at encoder size_per_cpu_s": per_cpu_s(
            lambda: [read_image(content, model.size) for content in jpegs], len(jpegs)
        ),
        "read whole_per_cpu_s": per_cpu_s(
            lambda: [read_image(content) for content in jpegs], len(jpegs)
        ),
        "read and encode_per_cpu_s": per_cpu_s(lambda: model.encode(jpegs), len(jpegs)),
    }
    run.timing["matrix product"] = {"float32_gflop_per_cpu_s": gflops()}


def per_cpu_s(work: Callable[[], object], images: int) -> float:
    work()
    start, done = time.process_time(), 0
    while done < SPEED_IMAGES:
        work()
        done += images
    return round(done / (time.process_time() - start), 1)


def jpeg(random: np.random.Generator, side: int) -> bytes:
    """A JPEG about as detailed as a photo: noise at several scales."""
    photo = np.zeros((side, side, 3))
    for cells, weight in ((4, 60), (16, 40), (64, 20), (side, 4)):
        rough = Image.fromarray(random.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        smooth = rough.resize((side, side), Image.Resampling.BICUBIC)
        photo += (np.asarray(smooth, float) - 128) * weight / 128
    file = io.BytesIO()
    Image.fromarray(np.clip(photo + 128, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=88)
    return file.getvalue()


def gflops() -> float:
    """What one core multiplies at most: the bound of a convolution of 1 x 1."""
    import torch

    torch.set_num_threads(1)
    matrix = torch.ones(1024, 1024)
    out = torch.empty(1024, 1024)
    torch.mm(matrix, matrix, out=out)
    start, count = time.process_time(), 30
    for _ in range(count):
        torch.mm(matrix, matrix, out=out)
    return round(count * 2 * 1024**3 / 1e9 / (time.process_time() - start), 1)


if __name__ == "__main__":
    main()
