"""The loop: frame → mesh → features → classify → reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.baseline import Baseline, absent
from edge.bundle import Bundle
from edge.classify import open_classifier
from edge.errors import SettingsError, SetupError
from edge.mesh import open_mesher
from edge.plausible import open_plausible
from edge.risk import ANY, least_confidence
from edge.settings import ClassifySettings, MeshSettings, Settings, SmoothSettings
from edge.smooth import Smoother
from edge.stopwatch import Stopwatch
from edge.types import CLASSES, UNKNOWN, Frame, Gap, Reading


class Recognizer:
    """RGB picture in, `Reading` out.

    One instance follows one camera: with `tracking` it remembers where the face was. It is not
    made for calls from several threads at once.
    """

    def __init__(
        self,
        models_dir: str | PathLike[str] | Bundle | None = None,
        model: str = "svm",
        tracking: bool = True,
        *,
        cropped: bool = False,
        mesh: MeshSettings | None = None,
        max_risk: float = ANY,
    ) -> None:
        """Open the bundle in `models_dir` (the checkout's `models/` by default), or take that one.

        `model`: a classifier of the bundle. `tracking`: look first where the last frame's face
        was; without it every picture stands alone, and is looked at more than once. `cropped`:
        pictures are face crops already; no detector, a mesh for every picture. `mesh`: how a face
        is found. `max_risk`: the share of wrong labels, 0 to 1, that is borne;
        below the confidence that keeps it the label is `unknown`. 1 tells every label. Raises
        SetupError where something is missing or does not fit, SettingsError for a risk that the
        model cannot keep.
        """
        mesh = mesh or MeshSettings()
        if not isinstance(models_dir, Bundle):
            models_dir = Bundle.open(None if models_dir is None else Path(models_dir))
        self.bundle = models_dir
        self.baseline: Baseline | None = None
        """What is particular to the person that it looks at; None for anybody."""
        self._model = model
        self._classifier = open_classifier(self.bundle, model)
        self._mesher = open_mesher(self.bundle, mesh, tracking=tracking, cropped=cropped)
        self._doubt = open_plausible(self.bundle, mesh, cropped=cropped)
        self._least = self.least_confidence(max_risk)
        self._last: Reading | None = None

    @classmethod
    def of(cls, settings: Settings, tracking: bool = True, *, cropped: bool = False) -> Recognizer:
        """The one that the settings ask for, but for the baseline: see `know`."""
        chosen, mesh = settings.classify, settings.mesh
        try:
            bundle = Bundle.open(Path(chosen.bundle) if chosen.bundle else None)
        except SetupError as error:
            if not chosen.bundle:
                raise
            raise SettingsError(f"classify.bundle: {error}") from None
        if chosen.model not in bundle.models:
            raise SettingsError(
                f"classify.model = {chosen.model!r}: the bundle has {', '.join(bundle.models)}"
            )
        one = cls(bundle, chosen.model, tracking, cropped=cropped, mesh=mesh)
        one._least = one.least_confidence(chosen.max_risk, "classify.max_risk")
        return one

    def know(self, settings: ClassifySettings, tell: Callable[[str], None] | None = None) -> None:
        """Take the baseline that the settings name. Raises SettingsError where it is of no use.

        `tell`: given one line where there is no such file yet.
        """
        self.baseline = self._last = None
        if settings.baseline:
            path, strength = Path(settings.baseline), settings.baseline_strength
            try:
                self.baseline = Baseline.open(path, self.bundle, strength)
            except SetupError as error:
                raise SettingsError(f"classify.baseline: {error}") from None
            if self.baseline is None and tell:
                tell(absent(path))

    def __call__(self, image: NDArray[np.uint8]) -> Reading:
        """Read the expression of the face in `image` (H, W, 3) uint8 RGB.

        Raises ValueError for anything else.
        """
        if not isinstance(image, np.ndarray):  # None is what cv2.imread gives for no picture
            raise ValueError(
                f"an image is an array (H, W, 3) uint8 RGB, not {type(image).__name__}"
            )
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(
                f"an image is (H, W, 3) uint8 RGB; this one is {image.shape} {image.dtype}"
            )
        watch = Stopwatch()
        mesh = self._mesher(image, watch=watch)
        if mesh is None:
            return Reading(UNKNOWN, None, None, None, watch.laps_ms, "no face")
        if self._last is not None and mesh is self._last.mesh:  # nothing moved
            return replace(self._last, timings_ms=watch.laps_ms)
        seen = mesh.landmarks if self.baseline is None else self.baseline(mesh.landmarks)
        feature = self._classifier.features(seen)
        watch.lap("features")
        probabilities = self._classifier.predict(feature)
        if mesh.mirrored is not None and self.baseline is None:  # a baseline is of no mirror image
            other = self._classifier.predict(self._classifier.features(mesh.mirrored))
            probabilities = self._classifier.together(probabilities, other)
        best = int(probabilities.argmax())
        sure = float(probabilities[best])
        reason = self._doubt(image, mesh) if self._doubt else None
        if reason is None and sure < self._least:
            reason = "not sure"
        watch.lap("classify")
        label = UNKNOWN if reason else CLASSES[best]
        self._last = Reading(label, sure, probabilities, mesh, watch.laps_ms, reason)
        return self._last

    def least_confidence(self, max_risk: float, setting: str = "max_risk") -> float:
        """Confidence, 0 to 1, from which on at most `max_risk` of this model's labels are wrong.

        Raises SettingsError, which names the `setting`, for a risk that the model cannot keep.
        """
        return least_confidence(self.bundle, self._model, max_risk, setting)

    def smoother(self, settings: SmoothSettings) -> Smoother:
        """What makes this model's readings steady, and keeps the settings' `max_risk`.

        Raises SettingsError for a risk that the model cannot keep.
        """
        return Smoother(settings, self.least_confidence(settings.max_risk, "smooth.max_risk"))

    def reset(self) -> None:
        """Forget the face that was tracked: what comes next is another scene."""
        self._mesher.reset()


def read(frames: Iterable[Frame], recognise: Recognizer) -> Iterator[tuple[Frame, Reading]]:
    """Frames with their readings, each for itself. A source's first frame starts a new scene."""
    for frame in frames:
        if frame.index == 0:
            recognise.reset()
        yield frame, recognise(frame.image)


def follow(
    frames: Iterable[Frame | Gap], recognise: Recognizer, smooth: Smoother
) -> Iterator[tuple[Frame | Gap, Reading]]:
    """Frames with steady readings; gaps, while the camera is lost, with `unknown`."""
    for frame in frames:
        if isinstance(frame, Gap):
            recognise.reset()  # nobody knows what will be there when it is back
            yield frame, smooth.lost(frame)
            continue
        if frame.index == 0:
            recognise.reset()
            smooth.reset()
        reading = recognise(frame.image)
        watch = Stopwatch()
        steady = smooth(frame, reading)
        watch.lap("smooth")
        steady.timings_ms.update(watch.laps_ms)
        yield frame, steady
        del frame
