"""Films read without dying: their frames, and where one shot ends and the next begins.

Films come from strangers, as photos do: whatever is wrong with one ends in ``Unreadable`` or in a
film that is cut, with a reason. Work on a film has a limit of time and of frames. Only what a
file's first bytes show to be a film is opened, with that format's reader alone: playlists, which
would make the decoder open other files or addresses, are not films.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError
from shoploom.encoders.images import (
    Pixels,
    Unreadable,
    first_line,
    missing_package,
    open_regular,
)

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

#: Beyond so many frames only key frames are decoded.
KEY_FRAMES_BEYOND = 6000


@dataclass(frozen=True)
class FilmLimits:
    """When to stop.

    Attributes:
        seconds: of work on one film.
        frames: kept of one film; of a longer one every second frame, or fourth, and so on.
        pixels: of a frame; what is larger is refused.
        bytes: of a file.
    """

    seconds: float = 60.0
    frames: int = 512
    pixels: int = 36_000_000
    bytes: int = 8_000_000_000


@dataclass(frozen=True)
class Film:
    """Frames of a film.

    Attributes:
        times: ``(n,)`` seconds at which the frames are shown, rising.
        images: ``(n, height, width, 3)`` uint8, upright.
        cuts: seconds at which a new shot begins, the first shot's beginning not among them.
        seconds: when the last frame that was decoded ends.
        ended: why the film could not be seen to its end; empty when it could.
    """

    times: NDArray[np.float64]
    images: Pixels
    cuts: NDArray[np.float64]
    seconds: float
    ended: str = ""

    def __len__(self) -> int:
        return len(self.times)

    @property
    def shots(self) -> NDArray[np.int64]:
        """``(n,)`` number of the shot that each frame belongs to, rising from 0."""
        return np.searchsorted(self.cuts, self.times, side="right").astype(np.int64)


def read_film(
    source: Path | str | bytes,
    *,
    size: int = 256,
    rate: float = 8.0,
    limits: FilmLimits | None = None,
) -> Film | Unreadable:
    """Frames evenly over a film, and where it is cut.

    Args:
        source: a path, or the bytes of a file: MP4 or MOV, Matroska or WebM, AVI, MPEG, Ogg,
            FLV, ASF, GIF.
        size: the longer side is reduced to at most this many pixels.
        rate: frames looked at per second, at most. Of long films only key frames are.
        limits: when to stop.
    """
    limits = limits or FilmLimits()
    scan = _Scan(limits.frames)
    try:
        with _opened(source, limits) as (container, stream):
            scan.ended = _scan(container, stream, scan, size, rate, limits)
    except _Refused as refusal:
        return Unreadable(str(refusal))
    return scan.film() if scan.times else Unreadable(scan.ended or "holds no frame")


def frames_at(
    source: Path | str | bytes,
    times: Sequence[float],
    *,
    size: int = 256,
    limits: FilmLimits | None = None,
) -> Film | Unreadable:
    """The frames on screen at given seconds; ``Film.times`` says when each of them came up.

    A time after the end gets the last frame, one before the beginning the first.

    Args:
        source: as for ``read_film``.
        times: seconds, in any order; frames come in the order of rising times.
        size: the longer side is reduced to at most this many pixels.
        limits: when to stop.
    """
    limits = limits or FilmLimits()
    stop = time.monotonic() + limits.seconds
    shown: list[tuple[float, Pixels]] = []
    ended = ""
    try:
        with _opened(source, limits) as (container, stream):
            picture, start = _pictures(size), _start(stream)
            for wanted in sorted(times):
                best = None
                container.seek(
                    int((max(0.0, wanted) + start) * 1e6), backward=True, any_frame=False
                )
                for at, frame in _decoded(container, stream, _Damage()):
                    if best is not None and at > wanted:
                        break
                    best = at, frame
                    if time.monotonic() > stop:
                        ended = _out_of_time(limits, at)
                        break
                if best is not None:
                    image = picture(best[1])
                    if not shown or image.shape == shown[0][1].shape:
                        shown.append((best[0], image))
                if ended:
                    break
    except _Refused as refusal:
        return Unreadable(str(refusal))
    if not shown:
        return Unreadable(ended or "holds no frame at these times")
    at = np.array([pair[0] for pair in shown])
    images = np.stack([pair[1] for pair in shown])
    return Film(at, images, np.zeros(0), float(at[-1]), ended)


class _Refused(Exception):
    """Why a film cannot be opened or read on."""


@contextmanager
def _opened(
    source: Path | str | bytes, limits: FilmLimits
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The film's container and its first video stream."""
    try:
        import av
        from av.error import FFmpegError
    except ImportError:
        raise missing_package("av", "video") from None
    file = open_regular(source, limit=limits.bytes)
    if isinstance(file, Unreadable):
        raise _Refused(file.reason)
    with file:
        head = file.read(1024)
        file.seek(0)
        kind = _container(head)
        if kind is None:
            raise _Refused("no film that we know (MP4, MOV, MKV, WEBM, AVI, MPEG, OGG, FLV, ASF)")
        try:
            with av.open(
                file, "r", format=kind, timeout=limits.seconds, metadata_errors="replace"
            ) as container:
                if not container.streams.video:
                    raise _Refused("holds no pictures")
                stream = container.streams.video[0]
                if stream.codec_context is None:
                    raise _Refused("its pictures are in no format that we know")
                if stream.width * stream.height > limits.pixels:
                    raise _Refused(
                        f"{stream.width} x {stream.height} pixels, more than the limit of "
                        f"{limits.pixels / 1e6:,.0f} megapixels"
                    )
                # A stream may grow after its first frame.
                stream.codec_context.options = {"max_pixels": str(limits.pixels)}
                stream.thread_type = "AUTO"
                yield container, stream
        except (_Refused, DataError):
            raise
        except MemoryError:
            raise _Refused("too large for the memory") from None
        except (FFmpegError, ValueError, OSError, OverflowError) as error:
            raise _Refused(f"damaged: {first_line(error)}") from None


def _container(head: bytes) -> str | None:
    """FFmpeg's name of the format that a file's first bytes show."""
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "mov"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[:1] == b"\x47" and head[188:189] == b"\x47":
        return "mpegts"
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


_MAGIC = {
    b"\x1a\x45\xdf\xa3": "matroska",
    b"OggS": "ogg",
    b"FLV\x01": "flv",
    b"\x00\x00\x01\xba": "mpeg",
    b"\x00\x00\x01\xb3": "mpegvideo",
    b"\x30\x26\xb2\x75": "asf",
    b"GIF8": "gif",
}


@dataclass
class _Damage:
    """How many packets could not be decoded, and what the first said."""

    packets: int = 0
    first: str = ""


_MOST_DAMAGE = 200  # packets; a film that is worse is given up


def _decoded(
    container: InputContainer, stream: VideoStream, damage: _Damage
) -> Iterator[tuple[float, VideoFrame]]:
    """Frames from here on with their seconds, never falling; what is damaged is left out."""
    from av.error import EOFError as EndOfFile
    from av.error import FFmpegError

    rate = float(stream.average_rate or 25)
    start = _start(stream)
    last, number = -1.0, 0
    packets = iter(container.demux(stream))
    while damage.packets < _MOST_DAMAGE:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            frames = packet.decode()
        except (FFmpegError, ValueError) as error:
            damage.packets += 1
            damage.first = damage.first or first_line(error)
            if isinstance(error, EndOfFile):
                return
            continue
        for frame in frames:
            at = frame.time - start if frame.time is not None else number / rate
            number += 1
            if not np.isfinite(at) or at < last or frame.is_corrupt:
                continue
            last = max(at, 0.0)
            yield last, frame


def _start(stream: VideoStream) -> float:
    """Seconds on the stream's clock at which it begins."""
    return float((stream.start_time or 0) * (stream.time_base or 0))


def _pictures(size: int) -> Any:
    """A function from a frame to upright pixels whose longer side is at most ``size``."""
    from av.video.reformatter import Interpolation, VideoReformatter

    reformatter = VideoReformatter()

    def picture(frame: VideoFrame) -> Pixels:
        share = min(1.0, size / max(frame.width, frame.height))
        small = reformatter.reformat(
            frame,
            max(1, round(frame.width * share)),
            max(1, round(frame.height * share)),
            "rgb24",
            interpolation=Interpolation.AREA,
        )
        pixels = np.asarray(small.to_ndarray(), np.uint8)
        return np.rot90(pixels, round((frame.rotation or 0) / 90) % 4)

    return picture


class _Scan:
    """What has been seen of a film: evenly spaced frames, at most so many, and all changes."""

    def __init__(self, most: int):
        self.times: list[float] = []
        self.images: list[Pixels] = []
        self.seen: list[float] = []
        self.changes: list[float] = []
        self.ended, self.seconds = "", 0.0
        self._most, self._step = max(2, most), 1
        self._last: NDArray[np.float32] | None = None

    def add(self, at: float, image: Pixels) -> None:
        if self.images and image.shape != self.images[0].shape:
            return  # a film that changes its size midway: what follows has no place in the array
        histogram = _histogram(image)
        if self._last is not None:
            self.changes.append(float(np.abs(histogram - self._last).mean()))
        self._last = histogram
        if len(self.seen) % self._step == 0:
            self.times.append(at)
            self.images.append(image)
            if len(self.times) > self._most:
                self.times, self.images = self.times[::2], self.images[::2]
                self._step *= 2
        self.seen.append(at)

    def film(self) -> Film:
        seen = np.array(self.seen)
        cuts = seen[1:][_is_cut(np.array(self.changes), seen)]
        return Film(np.array(self.times), np.stack(self.images), cuts, self.seconds, self.ended)


def _scan(
    container: InputContainer,
    stream: VideoStream,
    scan: _Scan,
    size: int,
    rate: float,
    limits: FilmLimits,
) -> str:
    """Fills the scan; gives back why it ended before the film did, or nothing."""
    stop = time.monotonic() + limits.seconds
    length = float((stream.duration or 0) * (stream.time_base or 0))
    length = length or float(container.duration or 0) / 1e6
    frames = stream.frames or length * float(stream.average_rate or 25)
    if frames > KEY_FRAMES_BEYOND:
        stream.codec_context.skip_frame = "NONKEY"
    picture, damage, due, at = _pictures(size), _Damage(), 0.0, 0.0
    for at, frame in _decoded(container, stream, damage):
        scan.seconds = at + 1 / float(stream.average_rate or 25)
        if time.monotonic() > stop:
            return _out_of_time(limits, at)
        if at + 1e-6 >= due:
            scan.add(at, picture(frame))
            due = max(due + 1 / rate, at + 0.5 / rate)
    if damage.packets:
        return f"{damage.packets} damaged packets (the first: {damage.first})"
    # The last frame begins a little before the end; key frames may be seconds apart.
    slack = max(1.0, 0.05 * length)
    if frames <= KEY_FRAMES_BEYOND and 0 < at < length - slack:
        return f"cut: ends at {at:.1f} s of {length:.1f} s"
    return ""


def _out_of_time(limits: FilmLimits, at: float) -> str:
    return f"more than {limits.seconds:g} s of work; seen until {at:.1f} s"


# Shots

_GRID = 3  # histograms are taken in 3 x 3 parts, so that things changing sides are seen
_STEPS = 64  # of a histogram


def _histogram(image: Pixels) -> NDArray[np.float32]:
    """Cumulative histograms of red, green and blue, in each part of the image.

    The mean difference of two cumulative histograms is how far colours moved (Wasserstein-1), as
    a share of the whole range: noise and slow fades weigh little, however they fall into steps.
    """
    rows, columns = (np.arange(side) * _GRID // side for side in image.shape[:2])
    cell = (rows[:, None] * _GRID + columns[None, :]).astype(np.int32)
    key = (cell[:, :, None] * 3 + np.arange(3, dtype=np.int32)) * _STEPS + image // (256 // _STEPS)
    counts = np.bincount(key.ravel(), minlength=_GRID**2 * 3 * _STEPS).reshape(-1, _STEPS)
    totals = np.maximum(counts.sum(1, keepdims=True), 1)
    return (np.cumsum(counts, axis=1) / totals).astype(np.float32)


_LEAST_CHANGE = 0.035  # of cumulative histograms, in [0, 1]
_OUTLYING = 4.0  # times what is usual nearby
_NEARBY = 8  # frames on each side
_SHORTEST_S = 0.4  # two cuts are at least this far apart


def _is_cut(changes: NDArray[np.float64], seen: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which changes are cuts: far above what is usual around them, and the largest nearby.

    What is usual adapts to the film: in a lively one a change must be larger to be a cut.
    """
    cut = np.zeros(len(changes), bool)
    if not len(changes):
        return cut
    padded = np.pad(changes, _NEARBY, constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEARBY + 1).copy()
    around[:, _NEARBY] = np.nan
    alone = np.isnan(around).all(1)
    around[alone] = 0.0
    usual = np.nanmedian(around, axis=1)
    strong = (changes >= _LEAST_CHANGE) & (changes >= _OUTLYING * usual)
    last = -np.inf
    for place in np.flatnonzero(strong):
        at = seen[place + 1]
        rivals = strong & (np.abs(seen[1:] - at) < _SHORTEST_S) & (changes > changes[place])
        if at - last >= _SHORTEST_S and not rivals.any():
            cut[place], last = True, at
    return cut
