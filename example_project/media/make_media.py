"""Make the example's video files from free pictures and a synthetic voice.

The finished files are committed; nothing in the project runs this script. It needs the program
`flite` (a Debian package, with its voice `slt`) and the packages `av`, `numpy`,
`opencv-python-headless` and `scikit-image` (for the pictures in its wheel):

    python make_media.py            # writes raw/*.mp4 and alternative/*.mp4 beside this script

With the same versions of these, two runs write the same bytes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import as_file, files
from pathlib import Path
from typing import TypeAlias

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Picture: TypeAlias = NDArray[np.uint8]
"""A picture: height x width x 3, blue-green-red, 8 bits."""

AnyPacket: TypeAlias = "av.Packet[av.VideoStream] | av.Packet[av.AudioStream]"

SOUND_RATE = 48_000
X264_PARAMS = "cpu-independent=1"
"""Without it x264's fast paths give other bytes from run to run, even with one thread."""

LEAD_S = 0.4
"""Silence before the first word, in seconds."""


@dataclass(frozen=True)
class View:
    """What the camera sees: a rectangle of the film's shape, in pixels of the picture."""

    centre_x: float
    centre_y: float
    width: float


@dataclass(frozen=True)
class Film:
    """One file to make: a picture seen through a view that moves from `start` to `end`."""

    name: str
    picture: str
    start: View
    end: View
    says: str
    seconds: float
    fps: int = 15
    width: int = 320
    height: int = 240


FILMS = (
    Film(
        name="astronaut",
        picture="astronaut",
        start=View(256, 192, 512),
        end=View(224, 118, 290),
        says="the woman is ready to fly into space",
        seconds=4,
    ),
    Film(
        name="pilot",
        picture="mirrored",
        start=View(256, 124, 310),
        end=View(318, 124, 310),
        says="the first woman to fly the space shuttle",
        seconds=4,
    ),
    Film(
        name="arrival",
        picture="astronaut",
        start=View(388, 226, 248),
        end=View(230, 122, 248),
        says="we are going back to work in the morning",
        seconds=5,
        fps=25,
    ),
    Film(
        name="sisters",
        picture="pair",
        start=View(320, 240, 640),
        end=View(320, 226, 590),
        says="my sister and i are going to work together",
        seconds=4,
    ),
    Film(
        name="cat",
        picture="chelsea",
        start=View(225, 150, 400),
        end=View(205, 125, 300),
        says="the young cat is looking at you",
        seconds=3.6,
    ),
    Film(
        name="coffee",
        picture="coffee",
        start=View(290, 200, 520),
        end=View(320, 200, 380),
        says="would you like another cup of coffee",
        seconds=3.6,
    ),
    Film(
        name="rocket",
        picture="rocket",
        start=View(320, 213, 310),
        end=View(320, 180, 250),
        says="everything is ready for the long journey",
        seconds=4,
        fps=25,
        width=240,
        height=320,
    ),
)

REPLACED = "astronaut"
REPLACED_SAYS = "she will leave the earth in the morning"


def load_picture(name: str) -> Picture:
    """Read a picture by name: a file of scikit-image's wheel, or one made from the astronaut."""
    if name == "mirrored":
        return np.ascontiguousarray(load_picture("astronaut")[:, ::-1])
    if name == "pair":
        return pair(load_picture("astronaut"))
    suffix = ".jpg" if name == "rocket" else ".png"
    with as_file(files("skimage") / "data" / f"{name}{suffix}") as path:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise FileNotFoundError(f"scikit-image's wheel has no picture {name}{suffix}.")
    return picture.astype(np.uint8, copy=False)


def pair(portrait: Picture) -> Picture:
    """Set the portrait beside its mirror image: 640 x 480, a face either side of the middle."""
    half = render(portrait, View(208, 170, 224), 320, 480)
    return np.hstack([half, half[:, ::-1]])


def render(picture: Picture, view: View, width: int, height: int) -> Picture:
    """Draw what a view sees at width x height pixels; beyond the picture its edge is repeated."""
    scale = view.width / width
    # a pixel's centre lies half a pixel from its corner, in both pictures
    left = view.centre_x - view.width / 2 + scale / 2 - 0.5
    top = view.centre_y - scale * height / 2 + scale / 2 - 0.5
    if scale > 1:  # blur first, or fine detail flickers as the view moves
        picture = cv2.GaussianBlur(picture, (0, 0), 0.4 * scale).astype(np.uint8, copy=False)
    drawn = cv2.warpAffine(
        picture,
        np.array([[scale, 0, left], [0, scale, top]], dtype=np.float64),
        (width, height),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return drawn.astype(np.uint8, copy=False)


def view_at(film: Film, share: float) -> View:
    """Give the view after a share (0 to 1) of the film; the movement starts and ends slowly."""
    eased = share * share * (3 - 2 * share)

    def between(start: float, end: float) -> float:
        return start + (end - start) * eased

    return View(
        between(film.start.centre_x, film.end.centre_x),
        between(film.start.centre_y, film.end.centre_y),
        between(film.start.width, film.end.width),
    )


def speak(sentence: str, seconds: float) -> NDArray[np.int16]:
    """Say a sentence with flite's voice slt: 16 kHz mono samples, silence to `seconds`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "speech.wav")
        subprocess.run(["flite", "-voice", "slt", "-t", sentence, "-o", str(path)], check=True)
        with wave.open(str(path)) as sound:
            rate = sound.getframerate()
            spoken = np.frombuffer(sound.readframes(sound.getnframes()), dtype=np.int16)
    if rate != 16_000:
        raise ValueError(f"flite's voice slt speaks at 16 kHz; this one speaks at {rate} Hz.")
    lead = round(LEAD_S * rate)
    samples = np.zeros(round(seconds * rate), dtype=np.int16)
    if lead + len(spoken) > len(samples):
        raise ValueError(f"{sentence!r} takes {len(spoken) / rate:.1f} s of {seconds} s.")
    samples[lead : lead + len(spoken)] = spoken
    return samples


def create(path: Path) -> av.container.OutputContainer:
    """Open an MP4 file for writing, without dates or program versions in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return av.open(
        str(path), "w", format="mp4", options={"fflags": "+bitexact", "movflags": "+faststart"}
    )


def add_sound(target: av.container.OutputContainer) -> av.AudioStream:
    """Add a mono AAC stream to a file opened for writing."""
    stream = target.add_stream("aac", rate=SOUND_RATE)
    stream.codec_context.layout = av.AudioLayout("mono")
    stream.codec_context.bit_rate = 64_000
    stream.codec_context.flags |= int(av.codec.context.Flags.bitexact)
    return stream


def encode_sound(stream: av.AudioStream, samples: NDArray[np.int16]) -> list[AnyPacket]:
    """Encode 16 kHz mono samples."""
    spoken = av.AudioFrame.from_ndarray(samples[np.newaxis, :], format="s16", layout="mono")
    spoken.sample_rate = 16_000
    spoken.pts = 0
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=SOUND_RATE)
    frames = [*resampler.resample(spoken), *resampler.resample(None)]
    packets = [packet for frame in frames for packet in stream.encode(frame)]
    return [*packets, *stream.encode(None)]


def encode_picture(stream: av.VideoStream, film: Film) -> list[AnyPacket]:
    """Draw and encode every frame of a film."""
    picture = load_picture(film.picture)
    count = round(film.seconds * film.fps)
    packets: list[AnyPacket] = []
    for index in range(count):
        drawn = render(picture, view_at(film, index / (count - 1)), film.width, film.height)
        frame = av.VideoFrame.from_ndarray(drawn, format="bgr24")
        frame.pts = index
        frame.time_base = Fraction(1, film.fps)
        packets += stream.encode(frame)
    return [*packets, *stream.encode(None)]


def in_order(*streams: Sequence[AnyPacket]) -> list[AnyPacket]:
    """Interleave the packets of several streams by time."""

    def seconds(packet: AnyPacket) -> Fraction:
        return (packet.dts or 0) * (packet.time_base or Fraction(1))

    return sorted((packet for packets in streams for packet in packets), key=seconds)


def make(film: Film, path: Path) -> None:
    """Write a film: H.264 and AAC."""
    with create(path) as target:
        video = target.add_stream(
            "libx264",
            rate=film.fps,
            options={"crf": "23", "preset": "slow", "threads": "1", "x264-params": X264_PARAMS},
        )
        video.width, video.height, video.pix_fmt = film.width, film.height, "yuv420p"
        video.codec_context.gop_size = 2 * film.fps
        sound = add_sound(target)
        spoken = encode_sound(sound, speak(film.says, film.seconds))
        target.mux(in_order(encode_picture(video, film), spoken))


def replace_sound(source: Path, path: Path, says: str) -> None:
    """Write a film again with another sentence; its picture packets are copied as they are."""
    with av.open(str(source)) as film, create(path) as target:
        old = film.streams.video[0]
        packets = [packet for packet in film.demux(old) if packet.size]
        seconds = float((old.duration or 0) * (old.time_base or Fraction(1)))
        video = target.add_stream_from_template(old)
        video.time_base = old.time_base
        for packet in packets:
            packet.stream = video
        sound = add_sound(target)
        target.mux(in_order(packets, encode_sound(sound, speak(says, seconds))))


def main(folder: Path) -> None:
    """Make every file below a folder."""
    for film in FILMS:
        make(film, folder / "raw" / f"{film.name}.mp4")
    replaced = f"{REPLACED}.mp4"
    replace_sound(folder / "raw" / replaced, folder / "alternative" / replaced, REPLACED_SAYS)
    for path in sorted(folder.glob("*/*.mp4")):
        sys.stdout.write(f"{path.relative_to(folder)}: {path.stat().st_size / 1000:.0f} kB\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
