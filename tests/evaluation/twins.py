"""Plain twins of the metrics: slow, and short enough to be checked by eye."""

import math
from itertools import pairwise


def hr(listed, wanted, k):
    return float(any(item in wanted for item in listed[:k]))


def recall(listed, wanted, k):
    return sum(item in wanted for item in listed[:k]) / len(wanted)


def precision(listed, wanted, k):
    return sum(item in wanted for item in listed[:k]) / k


def ndcg(listed, wanted, k):
    gain = sum(1 / math.log2(i + 2) for i, item in enumerate(listed[:k]) if item in wanted)
    return gain / sum(1 / math.log2(i + 2) for i in range(min(k, len(wanted))))


def mrr(listed, wanted, k):
    return next((1 / (i + 1) for i, item in enumerate(listed[:k]) if item in wanted), 0.0)


def map_(listed, wanted, k):
    at_hits = [
        precision(listed, wanted, i + 1)
        for i in range(k)
        if listed[i : i + 1] and listed[i] in wanted
    ]
    return sum(at_hits) / min(k, len(wanted))


RANKING = {
    "hr": hr,
    "recall": recall,
    "precision": precision,
    "ndcg": ndcg,
    "mrr": mrr,
    "map": map_,
}


def auroc(values, truth):
    won = [
        (p > q) + (p == q) / 2
        for p, y in zip(values, truth, strict=True)
        for q, x in zip(values, truth, strict=True)
        if y and not x
    ]
    return sum(won) / len(won)


def auprc(values, truth):
    """Sum over cut-offs of the rise in recall times the precision there."""
    total, recall_before = 0.0, 0.0
    for cut in sorted(set(values), reverse=True):
        said = [y for p, y in zip(values, truth, strict=True) if p >= cut]
        recall_here = sum(said) / sum(truth)
        total += (recall_here - recall_before) * sum(said) / len(said)
        recall_before = recall_here
    return total


def captured(values, truth, rows):
    """Expected sum of truth among the first ``rows`` rows, ties in any order, a row divisible."""
    total = 0.0
    for cut in sorted(set(values), reverse=True):
        step = [y for p, y in zip(values, truth, strict=True) if p == cut]
        part = min(rows, len(step)) / len(step)
        total, rows = total + part * sum(step), rows - part * len(step)
    return total


def gini(values, truth):
    n = len(values)
    shares = [captured(values, truth, i) / sum(truth) for i in range(n + 1)]
    return 2 * sum((a + b) / 2 / n for a, b in pairwise(shares)) - 1


def normalised_gini(values, truth):
    return gini(values, truth) / gini(truth, truth)


def confusion(values, truth, threshold):
    yes = [p >= threshold for p in values]
    hits = sum(a and b for a, b in zip(yes, truth, strict=True))
    return hits, sum(yes) - hits, sum(truth) - hits


def log_loss(values, truth):
    rows = zip(values, truth, strict=True)
    return -sum(math.log(max(p if y else 1 - p, 1e-15)) for p, y in rows) / len(values)


def poisson_deviance(values, truth):
    rows = zip((max(v, 1e-6) for v in values), truth, strict=True)
    return 2 * sum((y * math.log(y / m) if y else 0) - y + m for m, y in rows) / len(values)
