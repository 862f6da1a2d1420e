"""Frame → mesh: detect, then track, as MediaPipe does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.mesh.detector import Detection, Detector
from edge.mesh.geometry import Roi
from edge.mesh.landmarker import Landmarker
from edge.mesh.places import around, elsewhere, turned
from edge.mesh.shape import Shape, change, shape
from edge.mesh.still import Still
from edge.settings import MeshSettings
from edge.stopwatch import Stopwatch
from edge.types import Mesh

DETECTOR_FILE = "face_detection_short_range.tflite"
LANDMARK_FILE = "face_landmark.tflite"
SURE = 0.9999
"""Presence below which a face that was found may be another way up than it was taken for: 97 % of
photographs upside down that were taken for upright ones have less, 3 % of upright ones."""
ELSEWHERE = 0.99
"""Presence below which a face that was found in a part of the frame, or in a turned one, is none:
more looks see more that is not there. True ones of 30 pixels or more all had more."""
JUMPED = 0.05
"""Change of a mesh's shape from frame to frame (`edge.mesh.shape`) beyond which it may be no face's
any more. The mesh network is as sure of one that lies across half a face and half the wall. Noise
changes one by 0.02 to 0.04 (99 %), a fast head or mouth by more now and then."""
SAME = 0.03
"""Mean distance of two meshes' points, in shares of the ROI's side, up to which they are of one
face: a tenth of the distance between the eyes."""
CROP_SURE = 0.99
"""Presence from which a look at a face crop is sure of a face; more of it tells no more. A crop
whose first look has less may lie another way up."""
WAYS_UP = 8
"""How a face crop may lie, parts of a circle. The mesh network sees a face within some 30°."""


class Mesher:
    """Frame → the mesh of one face, or None.

    `tracking` looks first where the last frame's face was, or, while it moves, where it goes on to,
    and asks the detector only when the face is not there any more, or what is there has another
    shape. Without it every frame stands alone, and is looked at as often as a face crop
    (`CropMesher`), which the classifiers learnt from. Where the detector finds no face in the whole
    frame it looks `elsewhere`, too: at once in a frame that stands alone, else, since the next
    frame comes soon, in every second frame at one place. With `mesh.still`, a frame in which
    nothing moved since the last one that was read gives the same Mesh (the same object), or None,
    again.
    """

    def __init__(
        self, detector: Path, landmarker: Path, settings: MeshSettings, *, tracking: bool = True
    ) -> None:
        """Load the two networks from their files."""
        self._settings = settings
        self._tracking = tracking
        self._detect = Detector(detector, settings.min_detection, settings.threads)
        self._look = Landmarker(landmarker, settings.threads)
        self._still = Still() if settings.still and tracking else None
        self._mesh: Mesh | None = None
        self._seen: Roi | None = None  # where the last frame's face was
        self._before: Roi | None = None  # where it was in the frame before that
        self._next: Roi | None = None  # where this frame's is looked for
        self._lost: Roi | None = None  # where the last face was
        self._shape: Shape | None = None  # of the last mesh that is believed
        self._doubts = 0  # frames in a row whose mesh has another one
        self._askew = False  # whether that was looked at a little beside where it was found
        self._faceless = 0  # frames in a row

    def __call__(self, image: NDArray[np.uint8], *, watch: Stopwatch | None = None) -> Mesh | None:
        """The mesh of the face in `image` (H, W, 3) RGB, or None. `watch` is told the stages."""
        watch = watch or Stopwatch()
        if self._still and self._still.ready:
            unmoved = self._still(image)
            watch.lap("still")
            if unmoved:
                self._next = self._seen
                return self._mesh
        tracked = self._follow(image, watch)
        mesh = self._checked(image, tracked, watch) if tracked else None
        mesh = mesh or self._find(image, watch)
        followed = mesh is not None and mesh is tracked
        if not followed:
            self._lost = self._seen or self._lost
            self._seen = Roi.of_landmarks(mesh.landmarks) if mesh and self._tracking else None
            self._before = self._next = self._seen
            self._shape = shape(mesh.landmarks) if mesh and self._tracking else None
            self._doubts = 0
        if self._still:
            settled = followed and not self._askew and not self._doubts
            sure = settled or self._faceless % 2 == 1  # the whole frame was searched
            least = 0 if mesh else 2 * (1 + len(elsewhere(*image.shape[:2])))  # each place once
            mesh = self._still.look(image, mesh, self._seen, sure=sure, least=least)
        self._mesh = mesh
        watch.lap("mesh" if mesh else "detect")
        return mesh

    def reset(self) -> None:
        """Forget the face that was tracked: the next frame belongs to another scene."""
        self._seen = self._before = self._next = self._lost = self._shape = None
        self._faceless = self._doubts = 0
        if self._still:
            self._still.reset()

    def _follow(self, image: NDArray[np.uint8], watch: Stopwatch) -> Mesh | None:
        if self._seen is None or self._before is None or self._next is None:
            return None
        expected = self._next
        mesh = self._believe(self._look(image, expected, watch))
        if mesh is None and expected != self._seen:  # perhaps it did not go on
            expected = self._seen
            mesh = self._believe(self._look(image, expected, watch))
        if mesh is None:
            return None
        found = Roi.of_landmarks(mesh.landmarks)
        if found.is_far_from(expected):  # it moved in another way: the look was askew
            mesh = self._believe(self._look(image, found, watch))
            if mesh is None:
                return None
            expected, found = found, Roi.of_landmarks(mesh.landmarks)
        self._askew = found.moves_from(expected)
        self._next = found.ahead_of(self._seen, self._before)
        self._before, self._seen = self._seen, found
        return mesh

    def _checked(self, image: NDArray[np.uint8], mesh: Mesh, watch: Stopwatch) -> Mesh | None:
        """`mesh` while it keeps its shape; else the face that the detector sees, if it sees one.

        It looks near the mesh and in the whole frame at once, then in a place a frame. What it has
        seen nowhere is believed if the mesh network is sure of it.
        """
        now = shape(mesh.landmarks)
        if self._shape is None or change(now, self._shape) <= JUMPED:
            self._shape, self._doubts = now, 0
            return mesh
        near, (height, width) = around(Roi.of_landmarks(mesh.landmarks)), image.shape[:2]
        places = (near, Roi.of_picture(height, width), *elsewhere(height, width))
        if not self._doubts:
            self._lost, asked = self._before, places[:2]
        else:
            places = (around(self._lost or near), *places)
            asked = (places[(self._doubts - 1) % len(places)],)
        for place in asked:
            other = self._find_in(place, image, watch, near)
            if other and other.presence >= min(ELSEWHERE, mesh.presence):
                if _apart(mesh, other) > SAME:
                    return other
                self._shape, self._doubts = now, 0
                return mesh  # which was looked at where it is, not where a detection was
        self._doubts += 1
        if self._doubts > len(places):
            self._shape, self._doubts = now, 0
            return mesh if mesh.presence >= ELSEWHERE else None
        return mesh

    def _find(self, image: NDArray[np.uint8], watch: Stopwatch) -> Mesh | None:
        height, width = image.shape[:2]
        whole, others = Roi.of_picture(height, width), elsewhere(height, width)
        for place in self._places(whole, others):
            mesh = self._find_in(place, image, watch)
            if mesh and (place == whole or mesh.presence >= ELSEWHERE):
                self._faceless = 0
                return mesh
        self._faceless += 1
        return None

    def _places(self, whole: Roi, others: Sequence[Roi]) -> Sequence[Roi]:
        """Where to look for a face in this frame."""
        if not self._tracking:
            return (whole, *others)
        turn, other = divmod(self._faceless, 2)
        if not other:
            return (whole,)
        if self._lost:  # it may still be there
            others = (around(self._lost), *others)
        return (others[turn % len(others)],)

    def _find_in(
        self, place: Roi, image: NDArray[np.uint8], watch: Stopwatch, near: Roi | None = None
    ) -> Mesh | None:
        found = self._ask(image, place, watch, near)
        if found is None:
            return None
        mesh = self._believe(self._look(image, found.roi(), watch))
        if mesh and mesh.presence < SURE:  # perhaps it is upside down
            for other in turned(around(found.roi())):
                found = self._ask(image, other, watch)
                look = self._look(image, found.roi(), watch) if found else mesh
                mesh = max(mesh, look, key=lambda mesh: mesh.presence)
        if mesh is None or self._tracking:  # the next frames look again
            return mesh
        mesh = _settled(self._look, image, mesh, self._settings, watch)
        return self._believe(_with_mirrored(self._look, image, mesh, self._settings, watch))

    def _ask(
        self, image: NDArray[np.uint8], place: Roi, watch: Stopwatch, near: Roi | None = None
    ) -> Detection | None:
        """The face in `place` that the settings ask for, or the nearest to `near`."""
        detections = self._detect(image, place)
        watch.lap("detect")
        if near:
            return min(detections, key=lambda one: one.roi().distance(near), default=None)
        if self._settings.select == "surest":
            return detections[0] if detections else None
        return max(detections, key=lambda detection: detection.area, default=None)

    def _believe(self, mesh: Mesh) -> Mesh | None:
        return mesh if mesh.presence >= self._settings.min_presence else None


class CropMesher:
    """A picture that is already a face crop (as FER-2013's are) → the mesh of it, always.

    No detector: on 48×48 crops it misses one face in six. The first look takes the whole
    picture with a margin; the next ones take the ROI that the landmarks before give. The mesh is
    the mean of the last two: each look has noise of its own. Where the first is not sure of a face,
    but one from another way up is, the same is done from there, and that mesh is taken unless it
    ends less sure. The last look is at the mirror image.
    """

    def __init__(self, landmarker: Path, settings: MeshSettings) -> None:
        """Load the mesh network from its file."""
        self._look = Landmarker(landmarker, settings.threads)
        self._settings = settings

    def __call__(
        self,
        image: NDArray[np.uint8],
        first: Roi | None = None,
        *,
        watch: Stopwatch | None = None,
    ) -> Mesh:
        """The mesh of the face that fills `image` (H, W, 3) RGB, or `first` where that is given."""
        watch = watch or Stopwatch()
        first = first or self._first(*image.shape[:2])
        look = self._look(image, first, watch)
        mesh = _settled(self._look, image, look, self._settings, watch)
        if look.presence < CROP_SURE:  # perhaps it lies another way up
            ways = [self._look(image, place, watch) for place in turned(first, WAYS_UP)]
            look = max(ways, key=lambda look: look.presence)
            if look.presence >= CROP_SURE:
                other = _settled(self._look, image, look, self._settings, watch)
                mesh = max(other, mesh, key=lambda mesh: min(mesh.presence, CROP_SURE))
        return _with_mirrored(self._look, image, mesh, self._settings, watch)

    def _first(self, height: int, width: int) -> Roi:
        side = max(height, width) * self._settings.crop_scale
        return Roi(width / 2, height * self._settings.crop_centre, side)

    def reset(self) -> None:
        """Nothing to forget: every picture stands alone."""


def _apart(one: Mesh, other: Mesh) -> float:
    """Mean distance of their points, in shares of the side of the first one's ROI."""
    away = one.landmarks[:, :2] - other.landmarks[:, :2]
    return float(np.hypot(*away.T).mean()) / Roi.of_landmarks(one.landmarks).size


def _settled(
    look: Landmarker, image: NDArray[np.uint8], mesh: Mesh, settings: MeshSettings, watch: Stopwatch
) -> Mesh:
    """The mesh after all looks, `mesh` the first: each starts where the one before saw it.

    From three on, the mean of the last two.
    """
    looks = settings.crop_looks
    for number in range(2, looks + 1):
        before = mesh
        mesh = look(image, Roi.of_landmarks(before.landmarks), watch)
        if number > 2 and number == looks:
            mean = (before.landmarks + mesh.landmarks) * np.float32(0.5)
            mesh = Mesh(mean, mesh.presence)
    return mesh


def _with_mirrored(
    look: Landmarker, image: NDArray[np.uint8], mesh: Mesh, settings: MeshSettings, watch: Stopwatch
) -> Mesh:
    """The same mesh and, where the settings ask for it, that of the mirror image."""
    if not settings.crop_mirrored:
        return mesh
    other = look.mirrored(image, Roi.of_landmarks(mesh.landmarks), watch)
    return replace(mesh, mirrored=other.landmarks)
