"""Owns what a video file is: its shape, and a digest for each of its two streams."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from example_project.processing.container import open_video


@dataclass(frozen=True)
class VideoInfo:
    """What `probe` found: plain values, ready for the columns of a sample."""

    path: Path
    duration_s: float
    """Length of the picture, in seconds."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    fps: float
    """Frames per second, on average."""
    frame_count: int
    audio_digest: str
    """SHA-256 of the compressed sound, 64 hex characters; of nothing if the file is silent."""
    frames_digest: str
    """SHA-256 of the compressed picture, 64 hex characters."""


def probe(path: str | Path) -> VideoInfo:
    """Describe a video file without decoding it.

    The digests cover the bytes of each stream's packets, in file order, and nothing else: not the
    container, its tags, nor the times. So replacing the sound by a remux changes `audio_digest`
    alone. FFmpeg prints the same numbers:
    `ffmpeg -i FILE -map 0 -c copy -f streamhash -hash sha256 -`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not an MP4 file with a picture; the message names it.

    >>> from importlib.resources import files
    >>> video = probe(files("example_project") / "media/raw/coffee.mp4")
    >>> video.width, video.height, video.fps, video.frame_count, video.duration_s
    (320, 240, 15.0, 54, 3.6)
    """
    frames = hashlib.sha256()
    audio = hashlib.sha256()
    frame_count = 0
    with open_video(path) as container:
        picture = container.streams.video[0]
        for packet in container.demux(picture, *container.streams.audio[:1]):
            if not packet.size:  # the empty packet that ends each stream
                continue
            if packet.stream.index == picture.index:
                frames.update(packet)
                frame_count += 1
            else:
                audio.update(packet)
        if picture.duration is None or picture.time_base is None or not picture.average_rate:
            raise ValueError(f"'{path}' does not say how long its picture lasts.")
        return VideoInfo(
            path=Path(path),
            duration_s=float(picture.duration * picture.time_base),
            width=picture.width,
            height=picture.height,
            fps=float(picture.average_rate),
            frame_count=frame_count,
            audio_digest=audio.hexdigest(),
            frames_digest=frames.hexdigest(),
        )
