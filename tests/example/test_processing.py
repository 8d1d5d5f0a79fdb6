"""The processing functions on the example's real videos."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import av
import pytest

import example_project
from example_project.processing.crop import Box, crop
from example_project.processing.faces import Face, detect_faces
from example_project.processing.probe import VideoInfo, probe
from example_project.processing.speech import Transcript, transcribe

MEDIA = Path(example_project.__file__).parent / "media"
RAW = MEDIA / "raw"
ALTERNATIVE = MEDIA / "alternative" / "astronaut.mp4"

SAID = {
    "arrival": "we are going back to work in the morning",
    "astronaut": "the woman is ready to fly into space",
    "cat": "the young cat is looking at you",
    "coffee": "would you like another cup of coffee",
    "pilot": "the first woman to fly the space shuttle",
    "rocket": "everything is ready for the long journey",
    "sisters": "my sister and i are going to work together",
}
NAMES = sorted(SAID)

# frame -> faces in it, of the sampled frames that have any
FACES = {
    "arrival": {75: 1, 90: 1, 105: 1, 120: 1},
    "astronaut": {0: 1, 15: 1, 30: 1, 45: 1},
    "cat": {},
    "coffee": {},
    "pilot": {0: 1, 15: 1, 30: 1, 45: 1},
    "rocket": {},
    "sisters": {0: 2, 15: 2, 30: 2, 45: 2},
}
# the same after the cut to the central square, where the arriving face is whole only later
FACES_CROPPED = {**FACES, "arrival": {90: 1, 105: 1, 120: 1}}


@pytest.fixture(scope="module")
def cropped(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("crops")
    written: dict[str, Path] = {}

    def crop_of(name: str) -> Path:
        if name not in written:
            written[name] = crop(RAW / f"{name}.mp4", folder / f"{name}.mp4").path
        return written[name]

    return crop_of


@cache
def heard(name: str) -> Transcript:
    return transcribe(RAW / f"{name}.mp4")


def faces_by_frame(faces: list[Face]) -> dict[int, int]:
    return dict(Counter(face.frame for face in faces))


def keep_streams(source: Path, target: Path, kind: str) -> Path:
    """Remux only the streams of a kind ("video" or "audio")."""
    with av.open(str(source)) as film, av.open(str(target), "w", format="mp4") as written:
        kept = [stream for stream in film.streams if stream.type == kind]
        copies = {stream.index: written.add_stream_from_template(stream) for stream in kept}
        for packet in film.demux(kept):
            if packet.size:
                packet.stream = copies[packet.stream.index]
                written.mux(packet)
    return target


def test_the_folder_holds_the_files_these_tests_know():
    assert sorted(path.stem for path in RAW.glob("*.mp4")) == NAMES


# probe


def test_probe_describes_a_file():
    # the digests are those of `ffmpeg -map 0 -c copy -f streamhash -hash sha256`
    assert probe(RAW / "astronaut.mp4") == VideoInfo(
        path=RAW / "astronaut.mp4",
        duration_s=4.0,
        width=320,
        height=240,
        fps=15.0,
        frame_count=60,
        audio_digest="34ca79f31cc6fc5225b8474c09b8d02551dd82e61aeb56e50a1888cef6e2149d",
        frames_digest="20437b2713a86f23fcb82773360edc28f59efb7d2586f271d790cff41aba4abe",
    )


def test_a_replaced_sound_changes_the_audio_digest_alone():
    before, after = probe(RAW / "astronaut.mp4"), probe(ALTERNATIVE)
    assert after.audio_digest != before.audio_digest
    assert after == replace(before, path=ALTERNATIVE, audio_digest=after.audio_digest)


def test_no_two_files_share_a_digest():
    videos = [probe(RAW / f"{name}.mp4") for name in NAMES]
    digests = {digest for v in videos for digest in (v.audio_digest, v.frames_digest)}
    assert len(digests) == 2 * len(NAMES)


def test_a_copy_elsewhere_has_the_same_digests(tmp_path: Path):
    original = RAW / "cat.mp4"
    copy = Path(shutil.copy(original, tmp_path / "renamed.mp4"))
    assert probe(copy) == replace(probe(original), path=copy)


def test_a_silent_file_has_the_audio_digest_of_nothing(tmp_path: Path):
    silent = keep_streams(RAW / "cat.mp4", tmp_path / "silent.mp4", "video")
    nothing = hashlib.sha256().hexdigest()
    assert probe(silent) == replace(probe(RAW / "cat.mp4"), path=silent, audio_digest=nothing)


# faces


@pytest.mark.parametrize("name", NAMES)
def test_faces_are_found_where_there_are_any(name: str):
    assert faces_by_frame(detect_faces(RAW / f"{name}.mp4")) == FACES[name]


def test_a_face_is_where_the_astronaut_has_hers():
    first = detect_faces(RAW / "astronaut.mp4")[0]
    assert (first.frame, first.time_s) == (0, 0.0)
    middle = (first.x + first.width / 2, first.y + first.height / 2)
    assert middle == pytest.approx((140, 71), abs=6)
    assert first.width == pytest.approx(60, abs=8)


def test_faces_in_one_frame_come_from_left_to_right():
    faces = detect_faces(RAW / "sisters.mp4", every=60)
    assert [face.x + face.width / 2 for face in faces] == pytest.approx([91, 227], abs=6)


def test_every_decides_which_frames_are_looked_at():
    faces = detect_faces(RAW / "pilot.mp4", every=25)
    assert [(face.frame, face.time_s) for face in faces] == [
        (0, 0.0),
        (25, pytest.approx(25 / 15)),
        (50, pytest.approx(50 / 15)),
    ]


def test_the_sound_does_not_matter_to_the_faces():
    assert detect_faces(ALTERNATIVE) == detect_faces(RAW / "astronaut.mp4")


def test_every_must_be_positive():
    with pytest.raises(ValueError, match="1 or more frames, not 0"):
        detect_faces(RAW / "cat.mp4", every=0)


# speech


@pytest.mark.parametrize("name", NAMES)
def test_speech_is_understood_word_for_word(name: str):
    assert heard(name).text == SAID[name]


def test_the_alternative_says_something_else():
    assert transcribe(ALTERNATIVE).text == "she will leave the earth in the morning"


def test_words_have_times_within_the_sound_and_in_order():
    words = heard("astronaut").words
    times = [time for word in words for time in (word.start_s, word.end_s)]
    assert [word.text for word in words] == SAID["astronaut"].split()
    assert times == sorted(times)
    assert 0.3 < times[0] < 0.7
    assert 2.5 < times[-1] < 3.5


def test_what_was_heard_before_changes_nothing():
    first = heard("coffee")
    transcribe(RAW / "sisters.mp4")
    assert transcribe(RAW / "coffee.mp4") == first


def test_threads_share_the_recogniser():
    names = ["cat", "rocket"]
    with ThreadPoolExecutor(2) as pool:
        transcripts = list(pool.map(transcribe, [RAW / f"{name}.mp4" for name in names]))
    assert transcripts == [heard(name) for name in names]


def test_a_silent_file_says_nothing(tmp_path: Path):
    silent = keep_streams(RAW / "cat.mp4", tmp_path / "silent.mp4", "video")
    transcript = transcribe(silent)
    assert (transcript.text, transcript.words) == ("", ())


# crop


@pytest.mark.parametrize("name", NAMES)
def test_a_crop_is_square_and_keeps_length_and_sound(name: str, cropped: Callable[[str], Path]):
    source, target = probe(RAW / f"{name}.mp4"), probe(cropped(name))
    assert target.frames_digest != source.frames_digest
    assert target == replace(
        source, path=target.path, width=240, height=240, frames_digest=target.frames_digest
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_crop_still_shows_its_faces(name: str, cropped: Callable[[str], Path]):
    assert faces_by_frame(detect_faces(cropped(name))) == FACES_CROPPED[name]


def test_a_crop_still_says_its_sentence(cropped: Callable[[str], Path]):
    assert transcribe(cropped("astronaut")) == heard("astronaut")


def test_a_crop_moves_a_face_by_the_edge_cut_off(cropped: Callable[[str], Path]):
    before = detect_faces(RAW / "pilot.mp4", every=60)[0]
    after = detect_faces(cropped("pilot"), every=60)[0]
    assert after.x + after.width / 2 == pytest.approx(before.x + before.width / 2 - 40, abs=5)


def test_a_crop_keeps_the_times_of_its_frames(cropped: Callable[[str], Path]):
    def times(path: Path) -> list[float | None]:
        with av.open(str(path)) as film:
            return [frame.time for frame in film.decode(video=0)]

    assert times(cropped("arrival")) == times(RAW / "arrival.mp4")


def test_the_same_source_gives_the_same_bytes(cropped: Callable[[str], Path], tmp_path: Path):
    again = crop(RAW / "coffee.mp4", tmp_path / "again.mp4").path
    assert again.read_bytes() == cropped("coffee").read_bytes()


def test_the_sound_does_not_matter_to_the_cropped_picture(
    cropped: Callable[[str], Path], tmp_path: Path
):
    other = probe(crop(ALTERNATIVE, tmp_path / "astronaut.mp4").path)
    assert other.frames_digest == probe(cropped("astronaut")).frames_digest
    assert other.audio_digest == probe(ALTERNATIVE).audio_digest


def test_a_box_can_cut_a_face_off(tmp_path: Path):
    left = Box(x=0, y=0, width=160, height=240)
    written = crop(RAW / "sisters.mp4", tmp_path / "left.mp4", left, size=200)
    assert (written.box, written.width, written.height) == (left, 200, 200)
    assert faces_by_frame(detect_faces(written.path, every=60)) == {0: 1}


def test_a_silent_file_gives_a_silent_crop(tmp_path: Path):
    silent = keep_streams(RAW / "cat.mp4", tmp_path / "silent.mp4", "video")
    target = crop(silent, tmp_path / "cropped.mp4").path
    assert probe(target).audio_digest == hashlib.sha256().hexdigest()


def test_a_crop_makes_its_folder_and_leaves_one_file_in_it(tmp_path: Path):
    target = tmp_path / "a" / "b" / "cat.mp4"
    crop(RAW / "cat.mp4", target)
    assert list(target.parent.iterdir()) == [target]


def test_a_crop_may_replace_its_source(tmp_path: Path, cropped: Callable[[str], Path]):
    film = Path(shutil.copy(RAW / "coffee.mp4", tmp_path / "coffee.mp4"))
    crop(film, film)
    assert film.read_bytes() == cropped("coffee").read_bytes()


@pytest.mark.parametrize(
    "box",
    [Box(100, 0, 240, 240), Box(0, 1, 240, 240), Box(-1, 0, 240, 240), Box(0, 0, 0, 240)],
)
def test_a_box_outside_the_picture_is_refused(box: Box, tmp_path: Path):
    with pytest.raises(ValueError, match=r"not inside the picture of '.*cat\.mp4': 320 x 240"):
        crop(RAW / "cat.mp4", tmp_path / "cat.mp4", box)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [0, -2, 241])
def test_an_odd_size_is_refused(size: int, tmp_path: Path):
    with pytest.raises(ValueError, match=f"even number of pixels, not {size}"):
        crop(RAW / "cat.mp4", tmp_path / "cat.mp4", size=size)


# files that are no videos


def crop_beside(path: Path) -> object:
    return crop(path, path.with_name("target.mp4"))


READERS = pytest.mark.parametrize("read", [probe, crop_beside, detect_faces, transcribe])


@READERS
@pytest.mark.parametrize("name", ["notes.txt", "notes.mp4", "empty.mp4"])
def test_a_file_that_is_no_video_is_named(
    read: Callable[[Path], object], name: str, tmp_path: Path
):
    path = tmp_path / name
    path.write_text("" if name == "empty.mp4" else "These are notes.\n" * 100)
    with pytest.raises(ValueError, match="cannot be read as a video") as caught:
        read(path)
    assert f"'{path}'" in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


@READERS
@pytest.mark.parametrize("missing", [10, 40_000, 87_000])
def test_a_file_cut_off_is_named(read: Callable[[Path], object], missing: int, tmp_path: Path):
    path = tmp_path / "part.mp4"
    path.write_bytes((RAW / "cat.mp4").read_bytes()[:-missing])
    with pytest.raises(ValueError, match=r"is cut off|cannot be read as a video") as caught:
        read(path)
    assert f"'{path}'" in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("read", [crop_beside, detect_faces, transcribe])
def test_a_file_whose_packets_are_rubbish_is_named(read: Callable[[Path], object], tmp_path: Path):
    path = tmp_path / "rubbish.mp4"
    whole = (RAW / "cat.mp4").read_bytes()
    index = whole[: whole.index(b"mdat") + 4]
    path.write_bytes(index.ljust(len(whole), b"\x00"))
    with pytest.raises(ValueError, match="cannot be read as a video") as caught:
        read(path)
    assert f"'{path}'" in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


@READERS
def test_a_file_with_sound_alone_is_named(read: Callable[[Path], object], tmp_path: Path):
    path = keep_streams(RAW / "cat.mp4", tmp_path / "sound.mp4", "audio")
    with pytest.raises(ValueError, match=r"has no picture.*streams are: audio") as caught:
        read(path)
    assert f"'{path}'" in str(caught.value)


@READERS
def test_an_absent_file_is_not_found(read: Callable[[Path], object], tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"absent\.mp4"):
        read(tmp_path / "absent.mp4")
    assert list(tmp_path.iterdir()) == []
