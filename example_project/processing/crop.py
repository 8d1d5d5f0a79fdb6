"""Owns cutting a video's picture to a part of it; the sound goes along untouched."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer

from example_project.processing.container import open_video

# One thread, no fast paths: x264 otherwise gives other bytes from machine to machine and, in the
# build inside av's wheel, from run to run.
_X264 = {"crf": "23", "preset": "medium", "threads": "1", "x264-params": "cpu-independent=1"}


@dataclass(frozen=True)
class Box:
    """A rectangle in a picture, in pixels; x and y are its left and top edge, from 0."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class CropInfo:
    """What `crop` wrote."""

    path: Path
    box: Box
    """The part of the source's picture that was kept."""
    width: int
    """Of the written picture, in pixels."""
    height: int
    """Of the written picture, in pixels."""
    frame_count: int


def central_square(width: int, height: int) -> Box:
    """Give the largest square in the middle of a picture of width x height pixels.

    >>> central_square(320, 240)
    Box(x=40, y=0, width=240, height=240)
    """
    side = min(width, height)
    return Box((width - side) // 2, (height - side) // 2, side, side)


def crop(
    source: str | Path, target: str | Path, box: Box | None = None, *, size: int = 240
) -> CropInfo:
    """Write a video of `size` x `size` pixels, showing only a box of the source's picture.

    The box, by default the central square, is scaled to the square whatever its own shape. Frames
    keep their number and times; they are encoded again (H.264, 4:2:0, `size` must be even). The
    packets of the sound are copied: `probe` finds the same `audio_digest` in source and target.

    The same source gives the same bytes, with the same version of PyAV. The target appears whole
    or not at all: it is written under a passing name in its folder (made if absent), then renamed
    over a file of that name.

    Raises:
        FileNotFoundError: there is no source.
        ValueError: the source is not an MP4 file with a picture, the box is not inside its
            picture, or the size is not even and positive. Nothing is written.

    >>> from importlib.resources import files
    >>> source = files("example_project") / "media/raw/coffee.mp4"
    >>> target = Path(getfixture("tmp_path"), "coffee.mp4")
    >>> crop(source, target).box
    Box(x=40, y=0, width=240, height=240)
    """
    if size < 2 or size % 2:
        raise ValueError(f"A crop's size must be an even number of pixels, not {size}.")
    with open_video(source) as video:
        picture = video.streams.video[0]
        kept = box or central_square(picture.width, picture.height)
        _check_inside(kept, picture.width, picture.height, source)
        with _passing_name(Path(target)) as passing:
            frame_count = _write(video, passing, kept, size)
    return CropInfo(path=Path(target), box=kept, width=size, height=size, frame_count=frame_count)


def _check_inside(box: Box, width: int, height: int, source: str | Path) -> None:
    fits_across = box.x >= 0 and box.width > 0 and box.x + box.width <= width
    fits_down = box.y >= 0 and box.height > 0 and box.y + box.height <= height
    if not (fits_across and fits_down):
        raise ValueError(f"{box} is not inside the picture of '{source}': {width} x {height}.")


@contextmanager
def _passing_name(target: Path) -> Iterator[Path]:
    """Give a name to write to, unknown to others; rename it to the target if all went well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    passing = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        yield passing
        os.replace(passing, target)
    finally:
        passing.unlink(missing_ok=True)


def _write(video: InputContainer, path: Path, box: Box, size: int) -> int:
    """Encode the box of every frame, copy the sound; give the number of frames."""
    picture = video.streams.video[0]
    picture.thread_type = "AUTO"
    rows = slice(box.y, box.y + box.height)
    columns = slice(box.x, box.x + box.width)
    frame_count = 0
    # bitexact: no dates or program versions in the file
    options = {"fflags": "+bitexact", "movflags": "+faststart"}
    with av.open(str(path), "w", format="mp4", options=options) as written:
        encoder = written.add_stream("libx264", rate=picture.average_rate, options=_X264)
        encoder.width, encoder.height, encoder.pix_fmt = size, size, "yuv420p"
        encoder.codec_context.time_base = picture.time_base or Fraction(1, 90_000)
        copies = {s.index: written.add_stream_from_template(s) for s in video.streams.audio[:1]}
        for packet in video.demux(picture, *video.streams.audio[:1]):
            if packet.stream.index in copies:
                if packet.size:
                    packet.stream = copies[packet.stream.index]
                    written.mux(packet)
                continue
            for frame in picture.decode(packet):
                cut = av.VideoFrame.from_ndarray(
                    frame.to_ndarray(format="rgb24")[rows, columns].copy(), format="rgb24"
                ).reformat(size, size, format="yuv420p")
                cut.pts, cut.time_base = frame.pts, frame.time_base
                written.mux(encoder.encode(cut))
                frame_count += 1
        written.mux(encoder.encode(None))
    return frame_count
