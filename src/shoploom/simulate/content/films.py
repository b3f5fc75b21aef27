"""Short films: a product that moves before the camera, and a live stream that shows one by one.

H.264 in MP4 (yuv420p) by PyAV. Encoders run on one thread, so that the same input gives the same
bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from shoploom.core.errors import ConfigError
from shoploom.core.seeds import rng
from shoploom.simulate.content._looks import oklch

if TYPE_CHECKING:
    from av.video.stream import VideoStream
    from PIL import Image

PRODUCT_SIZE, PRODUCT_FPS = (320, 320), 12
STREAM_SIZE, STREAM_FPS = (640, 360), 6

#: H.264 encoders by preference; PyAV's wheels bring the first.
ENCODERS = ("libx264", "libopenh264", "h264")
#: Side of a photo on the stage, in pixels.
PANEL = 232
#: Upper edges on the stage: of the photo, of the host, of the bar below both.
PANEL_TOP, HOST_TOP, BAR_TOP = 30, 66, 298


def h264_encoder() -> str:
    """Name of the H.264 encoder that PyAV offers here.

    Raises:
        ConfigError: when it offers none.
    """
    import av

    for name in ENCODERS:
        try:
            return av.Codec(name, "w").name
        except ValueError:  # av.codec.codec.UnknownCodecError
            continue
    raise ConfigError(
        f"films: expected one of the H.264 encoders {', '.join(ENCODERS)}, got a PyAV without any. "
        "Install PyAV's own wheel: pip install --force-reinstall av."
    )


def write_product_film(
    image_path: Path, path: Path, seconds: float, seed: int
) -> list[tuple[float, float]]:
    """Writes a film in which the camera glides over a photo.

    Args:
        image_path: the photo.
        path: the film, ending in .mp4.
        seconds: its length.
        seed: decides the movement: nearer, away, across, or a slight turn.

    Returns:
        When the product is seen: one (start_s, end_s).
    """
    frames = _frame_count(seconds, PRODUCT_FPS)
    random = rng(seed, "product film")
    photo = _square(image_path, 400)
    middle = photo.size[0] / 2
    near, far = random.uniform(0.72, 0.8), random.uniform(0.9, 0.94)
    slack = middle * (1 - far)
    aim = random.uniform(-1, 1, (2, 2)) * slack  # where the camera points first and last
    turn = np.radians(random.uniform(1.5, 4.0) * random.choice([-1, 1]))
    kind = random.choice(["nearer", "away", "across", "turn"])
    window = {"nearer": (far, near), "away": (near, far), "across": (0.84, 0.84)}.get(
        kind, (0.8, 0.86)
    )
    turns = (-turn, turn) if kind == "turn" else (0.0, 0.0)

    def film() -> Iterable[Image.Image]:
        for t in np.linspace(0, 1, frames):
            ease = t * t * (3 - 2 * t)
            share = window[0] + ease * (window[1] - window[0])
            angle = turns[0] + ease * (turns[1] - turns[0])
            x, y = middle + aim[0] + ease * (aim[1] - aim[0])
            yield _seen(photo, PRODUCT_SIZE, (x, y), share, angle)

    _encode(path, film(), PRODUCT_SIZE, PRODUCT_FPS)
    return [(0.0, frames / PRODUCT_FPS)]


def write_stream_film(
    image_paths: Sequence[Path], seconds_each: float, path: Path, seed: int
) -> list[tuple[float, float]]:
    """Writes a live stream: a host on a stage shows each photo in turn, with hard cuts between.

    Args:
        image_paths: photos in the order of showing.
        seconds_each: how long each is shown, rounded to whole frames (STREAM_FPS a second).
        path: the film, ending in .mp4.
        seed: decides the stage.

    Returns:
        When each item is seen: (start_s, end_s), exact to the frame.
    """
    if not image_paths:
        raise ConfigError("stream film: expected at least one photo to show, got none.")
    frames = _frame_count(seconds_each, STREAM_FPS)
    random = rng(seed, "stream film")
    host = _host(random)

    def film() -> Iterable[Image.Image]:
        for number, image_path in enumerate(image_paths):
            photo = _square(image_path, PANEL + 24)
            middle = photo.size[0] / 2
            # The photo changes sides with each item: a cut that nobody can overlook.
            panel_x, host_x = (44, 386) if number % 2 == 0 else (364, 60)
            stage = _stage(panel_x, random)
            bar = _lower_third(stage, f"ITEM {number + 1} OF {len(image_paths)}")
            for t in range(frames):
                frame = stage.copy()
                share = 0.97 - 0.07 * t / frames
                shown = _seen(photo, (PANEL, PANEL), (middle, middle), share, 0.0)
                frame.paste(shown, (panel_x, PANEL_TOP))
                sway = round(3 * np.sin(0.9 * t)), round(2 * np.sin(1.7 * t))
                frame.paste(host, (host_x + sway[0], HOST_TOP + sway[1]), host)
                frame.paste(bar, (0, BAR_TOP))
                yield frame

    _encode(path, film(), STREAM_SIZE, STREAM_FPS)
    return [
        (number * frames / STREAM_FPS, (number + 1) * frames / STREAM_FPS)
        for number in range(len(image_paths))
    ]


def _frame_count(seconds: float, fps: int) -> int:
    frames = round(seconds * fps)
    if frames < 1:
        raise ConfigError(
            f"films: expected at least {1 / fps:.3f} s (one frame at {fps} a second), "
            f"got {seconds}."
        )
    return frames


def _square(image_path: Path, side: int) -> Image.Image:
    """The photo cut to a square of ``side`` pixels."""
    from PIL import Image, ImageOps

    with Image.open(image_path) as photo:
        return ImageOps.fit(photo.convert("RGB"), (side, side), Image.Resampling.BICUBIC)


def _seen(
    photo: Image.Image,
    size: tuple[int, int],
    middle: tuple[float, float],
    share: float,
    angle: float,
) -> Image.Image:
    """What a camera tilted by ``angle`` sees of a ``share`` of a photo about ``middle``."""
    from PIL import Image

    step = share * photo.size[0] / size[0]  # pixels of the photo per pixel of the frame
    cos, sin = step * np.cos(angle), step * np.sin(angle)
    x = middle[0] - cos * size[0] / 2 + sin * size[1] / 2
    y = middle[1] - sin * size[0] / 2 - cos * size[1] / 2
    matrix = (cos, -sin, x, sin, cos, y)
    return photo.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def _stage(panel_x: int, random: np.random.Generator) -> Image.Image:
    """The backdrop and the empty frame in which a photo is shown, lit anew for each item."""
    from PIL import Image, ImageDraw, ImageFilter

    width, height = STREAM_SIZE
    hue = random.uniform(0, 360)
    wall, floor = oklch(random.uniform(0.5, 0.84), 0.05, hue), oklch(0.42, 0.03, hue + 30)
    x = np.linspace(0, 1, width)[None, :, None]
    y = np.linspace(0, 1, height)[:, None, None]
    glow = np.exp(-6 * (x - (panel_x + PANEL / 2) / width) ** 2 - 3 * (y - 0.35) ** 2)
    curtain = 0.035 * np.sin(2 * np.pi * 14 * x)
    scene = np.where(y < 0.8, wall * (0.72 + 0.4 * glow + curtain), floor * (0.8 + 0.5 * glow))
    stage = Image.fromarray((np.clip(scene, 0, 1) * 255).astype(np.uint8))
    edge = (panel_x - 8, PANEL_TOP - 8, panel_x + PANEL + 7, PANEL_TOP + PANEL + 7)
    shade = Image.new("L", STREAM_SIZE)
    ImageDraw.Draw(shade).rectangle(
        (edge[0] + 6, edge[1] + 10, edge[2] + 6, edge[3] + 10), fill=110
    )
    stage.paste((20, 20, 26), mask=shade.filter(ImageFilter.GaussianBlur(9)))
    ImageDraw.Draw(stage).rounded_rectangle(edge, 6, fill=(250, 250, 248))
    return stage


def _host(random: np.random.Generator) -> Image.Image:
    """The one who speaks, head and shoulders (RGBA), in clothes too grey to be for sale."""
    from PIL import Image, ImageDraw

    sheet = Image.new("RGBA", (3 * 200, 3 * 260))
    draw = ImageDraw.Draw(sheet)

    def paint(lightness: float, chroma: float, hue: float) -> tuple[int, ...]:
        return tuple(int(255 * part) for part in oklch(lightness, chroma, hue))

    skin = random.uniform(0.5, 0.85)
    skin_colour, shadow = paint(skin, 0.06, 60), paint(skin - 0.08, 0.065, 55)
    hair = paint(random.uniform(0.22, 0.5), 0.04, 60)
    coat = paint(random.uniform(0.3, 0.5), 0.012, 260)
    if random.random() < 0.5:
        draw.rounded_rectangle((172, 110, 428, 470), 120, fill=hair)
    draw.rounded_rectangle((40, 430, 560, 900), 150, fill=coat)
    draw.polygon((246, 380, 354, 380, 366, 446, 300, 540, 234, 446), fill=shadow)
    for side in (-1, 1):  # the collar
        points = [(300 + side * x, y) for x, y in ((92, 434), (58, 428), (0, 540), (32, 604))]
        draw.polygon(points, fill=(236, 236, 232))
    draw.ellipse((190, 130, 410, 410), fill=skin_colour)
    draw.ellipse((176, 262, 212, 316), fill=skin_colour)
    draw.ellipse((388, 262, 424, 316), fill=skin_colour)
    draw.pieslice((178, 92, 422, 420), 196, 330, fill=hair)
    draw.chord((196, 92, 424, 330), 250, 20, fill=hair)
    for x in (252, 348):
        draw.ellipse((x - 11, 266, x + 11, 290), fill=(44, 38, 38))
        draw.arc((x - 28, 232, x + 28, 270), 215, 325, fill=hair, width=8)
    draw.arc((284, 286, 316, 330), 30, 150, fill=shadow, width=8)
    draw.arc((256, 300, 344, 368), 35, 145, fill=(150, 62, 62), width=11)
    return sheet.reduce(3)


def _lower_third(stage: Image.Image, text: str) -> Image.Image:
    """The bar at the foot of the picture: that it is live, and which item this is."""
    from PIL import Image, ImageDraw, ImageFont

    width, height = STREAM_SIZE
    below = stage.crop((0, BAR_TOP, width, height))
    bar = Image.blend(below, Image.new("RGB", below.size, (18, 20, 28)), 0.82)
    draw = ImageDraw.Draw(bar)
    middle = bar.size[1] / 2
    draw.rounded_rectangle((28, middle - 14, 92, middle + 14), 6, fill=(214, 40, 52))
    draw.text((60, middle), "LIVE", "white", ImageFont.load_default(17), anchor="mm")
    draw.text((112, middle), text, "white", ImageFont.load_default(21), anchor="lm")
    return bar


def _encode(path: Path, frames: Iterable[Image.Image], size: tuple[int, int], fps: int) -> None:
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    encoder = h264_encoder()
    # mbtree: with it x264 gives other bytes now and then for the same frames (one run in two).
    options = (
        {"preset": "veryfast", "crf": "24", "x264-params": "mbtree=0"}
        if encoder == "libx264"
        else {}
    )
    with av.open(str(path), "w", format="mp4") as container:
        stream = cast("VideoStream", container.add_stream(encoder, rate=fps, options=options))
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # threads would make the bytes depend on chance
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode(None))
