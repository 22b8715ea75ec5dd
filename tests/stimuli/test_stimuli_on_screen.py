"""What each stimulus puts on the screen, pixel by pixel and step by step."""

from __future__ import annotations

import io
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from dynvision.config.experiment import ExperimentConfig
from dynvision.config.section import validate
from dynvision.errors import InputError
from dynvision.experiments.batches import each_batch
from dynvision.experiments.screen import Screen
from dynvision.noise import PixelScale
from dynvision.stimuli.film import count_frames, read_frame
from dynvision.trials import Trial
from dynvision.trials.presentation import experiment_trials

NULL = -7.0


def trials(stimulus: dict[str, Any], dt: float = 2.0, **values: Any) -> list[Trial]:
    config = {"baseline_ms": 4, "recorded_ms": 400, "n_images": 1, **values, "stimulus": stimulus}
    return experiment_trials(validate(ExperimentConfig, config, ""), dt)


def screen(n: int = 2, others: int = 0, size: int = 8, scale: tuple[float, float] = (0.5, 0.2)) -> Screen:
    generator = torch.Generator().manual_seed(0)
    row = torch.randn(n + others, 1, size, size, generator=generator)
    following = torch.stack([row[k : k + n] for k in range(1, others + 1)], dim=1) if others else None
    mean, sd = (torch.full((1, 1, 1, 1), value) for value in scale)
    return Screen(row[:n], torch.arange(n) + 3, PixelScale(mean, sd), following)


def steps_of(shown: Screen, trial: Trial) -> Tensor:
    """All that is shown, (T, B, C, H, W)."""
    null = torch.full_like(shown.images, NULL)
    return torch.stack([step for frames in shown.frames(trial, null) for step in frames.steps()])


# --- rsvp ------------------------------------------------------------------------------------------------------------


def test_a_row_of_images_has_its_target_in_its_place() -> None:
    stimulus = {"type": "rsvp", "duration_ms": 4, "gap_ms": 2, "n_in_row": 3}
    first, last = trials(stimulus, parameter="target_position", values=[1, 3], recorded_ms=20)
    assert first.n_others == last.n_others == 2
    assert last.shown == [
        *["blank"] * 2,
        *["other"] * 2,
        "blank",
        *["other"] * 2,
        "blank",
        *["image"] * 2,
        "blank",
        "blank",
    ]
    assert [time for time, on in zip(last.times_ms, last.stimulus_on, strict=True) if on] == [14, 16]
    assert [time for time, on in zip(first.times_ms, first.stimulus_on, strict=True) if on] == [2, 4]
    seen = screen(n=3, others=2)
    shown = steps_of(seen, last)
    assert torch.equal(shown[2], seen.other(1)) and torch.equal(shown[5], seen.other(2))
    assert torch.equal(shown[8], seen.images) and (shown[4] == NULL).all()
    assert torch.equal(shown[2][0], seen.images[1])  # the image that follows the first one


def test_a_target_outside_the_row_is_refused() -> None:
    with pytest.raises(InputError, match=r"target_position=6 is not in a row of stimulus.n_in_row=5"):
        trials({"type": "rsvp", "target_position": 6})


@pytest.mark.parametrize(
    ("n_images", "batch", "n_others"), [(7, 3, 2), (7, 1, 4), (5, 5, 4), (6, 2, 5), (3, 2, 5)]
)
def test_the_images_that_follow(n_images: int, batch: int, n_others: int) -> None:
    """Whatever the batch size: image i is followed by i + 1, i + 2, ..., and the last by the first."""
    images = torch.arange(10.0).view(-1, 1, 1, 1)
    labels = torch.arange(10) % 3

    class Loader(SimpleNamespace):
        def __iter__(self) -> Any:
            return zip(images.split(batch), labels.split(batch), strict=True)

    loader: Any = Loader(image_indices=np.arange(10) + 100)
    rows = []
    for part in each_batch(loader, n_images, n_others):
        assert part.others is not None and part.first == len(rows)
        rows += part.others.flatten(1).tolist()
    distinct = n_images - 1
    places = [1 + k % distinct for k in range(n_others)]  # where there are not so many, they come again
    assert rows == [[float((i + place) % n_images) for place in places] for i in range(n_images)]
    with pytest.raises(InputError, match="raise n_images"):
        list(each_batch(loader, 1, n_others))


# --- flicker ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["onoff", "counterphase"])
def test_contrast_is_a_sinusoid(form: str) -> None:
    (trial,) = trials(
        {"type": "flicker", "duration_ms": 400, "form": form, "contrast": 0.8},
        parameter="frequency_hz",
        values=[5.0],
    )
    seen = screen()
    shown = steps_of(seen, trial)[2:]
    middle = np.arange(200) * 2 + 1.0
    phase = 2 * np.pi * 5 * middle / 1000
    expected = 0.8 * (np.sin(phase) if form == "counterphase" else (1 - np.cos(phase)) / 2)
    got = (shown * seen.images).sum(dim=(1, 2, 3, 4)) / seen.images.square().sum()
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-6)
    assert all(trial.stimulus_on[2:])


def test_a_frequency_that_the_grid_has_not_is_refused() -> None:
    with pytest.raises(
        InputError, match="frequency_hz=130 Hz has a period of .* fewer than 4 steps of dt=2 ms"
    ):
        trials({"type": "flicker", "duration_ms": 100, "frequency_hz": 130})
    assert trials({"type": "flicker", "duration_ms": 100, "frequency_hz": 125})


# --- film ------------------------------------------------------------------------------------------------------------

LEVELS = [round(255 * k / 29) for k in range(30)]


def film(folder: Path, kind: str) -> Path:
    """Thirty flat frames, each brighter than the one before."""
    frames = [np.full((6, 5), level, np.uint8) for level in LEVELS]
    if kind == "folder":
        for number, frame in enumerate(frames):
            Image.fromarray(frame).save(folder / f"{number:03}.png")
        return folder
    if kind == "array":
        np.save(folder / "film.npy", np.stack(frames))
        return folder / "film.npy"
    if kind == "colour array":
        np.save(
            folder / "film.npy",
            np.stack([np.stack([frame] * 3) / 255 for frame in frames]).astype(np.float32),
        )
        return folder / "film.npy"
    if kind == "video":
        av = pytest.importorskip("av")
        with av.open(str(folder / "film.avi"), "w") as video:
            stream = video.add_stream("rawvideo", rate=60)
            stream.width, stream.height, stream.pix_fmt = 16, 16, "rgb24"
            for level in LEVELS:
                picture = av.VideoFrame.from_ndarray(np.full((16, 16, 3), level, np.uint8), format="rgb24")
                video.mux(stream.encode(picture))
            video.mux(stream.encode())
        return folder / "film.avi"
    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(folder / "film.tif", save_all=True, append_images=others)
    return folder / "film.tif"


@pytest.mark.parametrize("kind", ["folder", "array", "colour array", "file", "video"])
def test_a_film_is_shown_at_its_rate(kind: str, tmp_path: Path) -> None:
    """60 Hz on a grid of 2 ms: each frame begins within half a step of its time, and nothing adds up."""
    source = film(tmp_path, kind)
    (trial,) = trials({"type": "film", "source": str(source), "frame_rate_hz": 60, "duration_ms": 400})
    seen = screen()
    shown = seen.scale.to_pixels(steps_of(seen, trial)[2:])[:, 0, 0, 0, 0] * 255
    frames = [LEVELS.index(round(float(level))) for level in shown]
    begins = {frame: 2.0 * frames.index(frame) for frame in frames}
    assert list(begins) == list(range(24))
    assert max(abs(begins[k] - k * 1000 / 60) for k in begins) <= 1.0
    assert set(trial.shown[2:202]) == {"film"}


def test_films_that_cannot_be_shown_are_refused_when_planned(tmp_path: Path) -> None:
    source = film(tmp_path, "array")
    for stimulus, said in (
        (
            {"source": str(tmp_path / "none")},
            "does not exist; give a folder of images, a video file or a .npy array",
        ),
        (
            {"source": str(source), "frame_rate_hz": 100},
            r"lasts 300 ms from frame 0 on \(30 frames of 100 Hz\)",
        ),
        ({"source": str(source), "first_frame": 25}, r"lasts 200 ms from frame 25 on"),
        ({"source": __file__}, "is no film; allowed: a folder, or a file that ends in .npy"),
    ):
        with pytest.raises(InputError, match=said):
            trials({"type": "film", **stimulus})
    with pytest.raises(InputError, match="set n_images: 1"):
        trials({"type": "film", "source": str(source)}, n_images=2)


def test_frames_of_a_folder_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name, grey in (("frame10", 30), ("frame2", 20), ("frame1", 10)):
        Image.new("L", (4, 4), grey).save(tmp_path / f"{name}.png")
    (tmp_path / "._frame3.png").write_bytes(b"a file that a file system of another kind leaves")
    (tmp_path / "frame4.png").mkdir()
    assert count_frames(str(tmp_path)) == 3
    assert [round(float(read_frame(str(tmp_path), k).mean()) * 255) for k in range(3)] == [10, 20, 30]


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.full((3, 4, 4), 200.0), "has pixels from 200 to 200 in frame 0; save it as uint8"),
        (np.full((3, 4, 4), np.nan), "has pixels from nan to nan"),
        (np.full((3, 4, 4), 200, np.int64), "save it as uint8"),
        (np.zeros((3, 4, 4, 2)), "without 1 or 3 channels"),
        (np.zeros((3, 0, 4)), r"has the shape \(3, 0, 4\), not"),
        (np.full((3, 4, 4), None), "holds O, not numbers"),
    ],
    ids=["above 1", "not a number", "whole numbers", "two channels", "without pixels", "objects"],
)
def test_arrays_that_are_no_film_are_refused(array: np.ndarray, said: str, tmp_path: Path) -> None:
    source = str(tmp_path / "film.npy")
    np.save(source, array)
    with pytest.raises(InputError, match=said):
        count_frames(source)
        read_frame(source, 0)


def test_an_array_that_was_cut_off_is_refused_when_planned(tmp_path: Path) -> None:
    source = tmp_path / "film.npy"
    np.save(source, np.zeros((3, 4, 4)))
    whole = source.read_bytes()
    for length, said in ((len(whole) - 1, "ends before its 3 frames do"), (40, "cannot be read")):
        source.write_bytes(whole[:length])
        with pytest.raises(InputError, match=said):
            count_frames(str(source))


# --- operations on the image -----------------------------------------------------------------------------------------


def test_occlusion_covers_the_fraction_with_mean_grey() -> None:
    seen = screen(n=3, size=16)
    few, many = trials({"type": "occlusion"}, parameter="occluded", values=[0.25, 0.75])
    covered = [steps_of(seen, trial)[2] == 0 for trial in (few, many)]
    for grey, fraction in zip(covered, (0.25, 0.75), strict=True):
        assert grey.float().mean(dim=(1, 2, 3)).tolist() == [fraction] * 3
        assert torch.equal(steps_of(seen, few)[2][~covered[0]], seen.images[~covered[0]])
        squares = grey[:, 0].unflatten(1, (8, 2)).unflatten(3, (8, 2)).float().mean(dim=(2, 4))
        assert set(squares.unique().tolist()) == {0.0, 1.0}  # whole squares of 2 px, an eighth of 16
    assert (covered[1] | ~covered[0]).all()  # more occlusion only adds squares
    assert not torch.equal(covered[0][0], covered[0][1])  # images have places of their own
    alone = Screen(seen.images[1:2], seen.indices[1:2], seen.scale)
    assert torch.equal(steps_of(alone, few)[2][0], steps_of(seen, few)[2][1])


def test_clutter_pastes_the_images_that_follow() -> None:
    seen = screen(n=2, others=2, size=8)
    none, two = trials({"type": "clutter", "flanker_side": 0.25}, parameter="n_flankers", values=[0, 2])
    assert (none.n_others, two.n_others) == (0, 2)
    assert torch.equal(steps_of(seen, none)[2], seen.images)
    scene = steps_of(seen, two)[2]
    small = torch.nn.functional.avg_pool2d(seen.other(1), 4)  # 8 px become 2
    assert torch.allclose(scene[..., 6:8, 3:5], small)  # the first at 90 degrees: below
    assert torch.allclose(scene[..., 0:2, 3:5], torch.nn.functional.avg_pool2d(seen.other(2), 4))
    changed = (scene != seen.images)[0, 0]
    assert changed.sum() == 2 * 4


def test_an_object_in_the_noise_that_was_adapted_to_or_in_another() -> None:
    stimulus = {"type": "adapter", "adapter_ms": 8, "gap_ms": 4, "duration_ms": 6, "contrast": 0.6}
    other, same = trials(stimulus, parameter="same_noise", values=[False, True], recorded_ms=40)
    seen = screen(size=16)
    for trial, is_same in ((same, True), (other, False)):
        shown = steps_of(seen, trial)
        adapter, test = shown[2], shown[8]
        noise = test - 0.6 * seen.images
        assert torch.allclose(noise, adapter, atol=1e-6) == is_same
        ratio = noise.flatten(1).square().mean(1) / seen.images.flatten(1).var(1, correction=0)
        assert ratio.mean().item() == pytest.approx(0.25, rel=0.3)  # contrast 0.5 of the image's variance
        assert trial.shown == [*["blank"] * 2, *["mask"] * 4, *["blank"] * 2, *["image"] * 3, *["blank"] * 11]
        assert [t for t, on in zip(trial.times_ms, trial.stimulus_on, strict=True) if on] == [14, 16, 18]
    assert math.isclose(float(steps_of(seen, same)[2].mean()), float(steps_of(seen, other)[2].mean()))


@pytest.mark.parametrize("mode", ["LA", "RGBA", "I;16", "turned"])
def test_frames_are_decoded_as_images_are(mode: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    picture, expected = {
        "LA": (Image.fromarray(np.array([[[200, 0], [200, 255]]], np.uint8)), [[128, 200]]),
        "RGBA": (Image.new("RGBA", (2, 1), (9, 9, 9, 0)), [[128, 128]]),
        "I;16": (Image.fromarray(np.array([[257 * 40, 65535]], np.uint16)), [[40, 255]]),
        "turned": (Image.fromarray(np.array([[7, 9]], np.uint8)), [[7], [9]]),
    }[mode]
    picture.save(tmp_path / "0.png", exif=exif if mode == "turned" else Image.Exif())
    assert count_frames(str(tmp_path)) == 1
    frame = read_frame(str(tmp_path), 0)
    assert np.rint(frame[:, :, 0] * 255).tolist() == expected


@pytest.mark.parametrize("suffix", [".gif", ".tif", ".avi"])
@pytest.mark.parametrize(
    ("content", "words"), [(b"<!doctype html><html>", "it is an HTML page"), (b"", "it is an empty file")]
)
def test_a_file_that_is_no_film_is_told_what_it_is(
    suffix: str, content: bytes, words: str, tmp_path: Path
) -> None:
    if suffix == ".avi":
        pytest.importorskip("av")
    path = tmp_path / f"film{suffix}"
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=rf"stimulus\.source: .*film\{suffix} cannot be read.*; {words}"
    ) as caught:
        count_frames(str(path))
    assert "cannot identify" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_film_of_huge_frames_is_no_attack(tmp_path: Path) -> None:
    content = io.BytesIO()
    Image.new("L", (2, 2)).save(content, "GIF")
    huge = (
        content.getvalue()[:6] + b"\xff\xff\xff\xff" + content.getvalue()[10:]
    )  # width and height of the screen
    (tmp_path / "film.gif").write_bytes(huge)
    with pytest.raises(
        InputError, match="cannot be read .its frames have more than 179 million pixels"
    ) as caught:
        count_frames(str(tmp_path / "film.gif"))
    assert "attack" not in str(caught.value)
