"""Photos that are the same photo: recompressed, reduced or slightly cropped.

Hashes find candidates among all pairs, vectors decide. Nothing here compares what photos show.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

#: Two photos whose hashes differ in at most so many bits may be the same ...
HASH_DISTANCE = 6
#: ... and are if their vectors' cosine is at least this.
SAME_COSINE = 0.95


def difference_hash(image: NDArray[np.uint8]) -> np.uint64:
    """64 bits: where the image, reduced to 8 rows of 9 greys, grows brighter to the right.

    Steps of fewer than three greys count as flat, so that noise in an even background does not
    decide a bit. Source: Krawetz 2013, "Kind of like that" (dHash).
    """
    from PIL import Image

    grey = Image.fromarray(image).convert("L").resize((9, 8), Image.Resampling.BOX)
    levels = np.asarray(grey, np.int16)
    bits = np.diff(levels, axis=1) > 2
    return np.packbits(bits.ravel()).view(np.uint64)[0]


def near_duplicates(
    hashes: NDArray[np.uint64],
    vectors: NDArray[np.floating] | None = None,
    *,
    distance: int = HASH_DISTANCE,
    cosine: float = SAME_COSINE,
) -> list[NDArray[np.int64]]:
    """Groups of rows that show the same photo.

    Candidates are pairs whose hashes differ in at most ``distance`` bits; they are the same when
    the cosine of their vectors is at least ``cosine``. A group is what hangs together by pairs.

    Args:
        hashes: ``(n,)`` of ``difference_hash``; leave out what could not be read.
        vectors: ``(n, d)`` of an image encoder. Without them only equal hashes count.
        distance: of the hashes, in bits.
        cosine: of the vectors.

    Returns:
        Groups of two rows or more, each sorted, in the order of their first rows.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(hashes)
    unit = None
    if vectors is not None:
        wide = vectors.astype(np.float32)
        unit = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)
    firsts, seconds = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for one, other in _close_pairs(hashes, distance if unit is not None else 0):
        if unit is not None:
            same = np.einsum("ij,ij->i", unit[one], unit[other]) >= cosine
            one, other = one[same], other[same]
        firsts.append(one)
        seconds.append(other)
    one, other = np.concatenate(firsts), np.concatenate(seconds)
    graph = coo_array((np.ones(len(one), bool), (one, other)), shape=(n, n))
    label = connected_components(graph, directed=False)[1]
    order = np.argsort(label, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
    return sorted((group for group in groups if len(group) > 1), key=lambda group: int(group[0]))


def _close_pairs(
    hashes: NDArray[np.uint64], distance: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Blocks of pairs of rows whose hashes differ in at most ``distance`` bits.

    Equal hashes are chained to their first row. Distinct ones are compared within bands: of
    ``distance + 1`` bands of bits, one at least is equal in two hashes that near (pigeonhole).
    A band takes bits from all over the image, because a corner is often blank in many.
    """
    if not len(hashes):
        return
    order = np.argsort(hashes, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(hashes[order]) != 0])
    first = order[starts]
    counts = np.diff(np.r_[starts, len(order)])
    repeated = np.repeat(first, counts)
    chained = order != repeated
    yield repeated[chained], order[chained]
    if not distance:
        return
    distinct = hashes[first]
    bits = np.unpackbits(distinct.view(np.uint8).reshape(-1, 8), axis=1)
    n_bands = distance + 1
    for band in range(n_bands):
        own = bits[:, band::n_bands]
        key = own.astype(np.int64) @ (1 << np.arange(own.shape[1], dtype=np.int64))
        by_key = np.argsort(key, kind="stable")
        ends = np.flatnonzero(np.r_[np.diff(key[by_key]) != 0, True]) + 1
        left = ends[np.searchsorted(ends, np.arange(len(by_key)), side="right")]
        values, at = distinct[by_key], np.arange(len(by_key))
        # Each is compared with the one that stands `shift` behind it, as long as its band lasts.
        for shift in range(1, len(by_key)):
            at = at[left[at] - at > shift]
            if not len(at):
                break
            near = at[np.bitwise_count(values[at] ^ values[at + shift]) <= distance]
            if len(near):
                yield first[by_key[near]], first[by_key[near + shift]]
