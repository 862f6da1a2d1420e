"""The precursor's pipeline: fitted or made up, kept as arrays."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import __main__ as command
from benchmarks.peers import pipeline

pytestmark = pytest.mark.filterwarnings("ignore:The `probability` parameter:FutureWarning")


@pytest.fixture(scope="module")
def meshes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make train` would keep, of few meshes."""
    folder = tmp_path_factory.mktemp("train")
    chance = np.random.default_rng(0)
    count = 7 * 20
    names = [f"fer2013/face/{i}.jpg" for i in range(count)] + ["muxspace/x.jpg", "fer2013/v.jpg"]
    labels = [i % 7 for i in range(count)] + [0, 0]
    split = ["train"] * (count + 1) + ["validation"]
    rows = [f"{n},{b},0,{s}," for n, b, s in zip(names, labels, split, strict=True)]
    (folder / "splits.csv").write_text("\n".join(["id,label,group,split,why", *rows]) + "\n")
    landmarks = chance.normal(0, 1, (count + 2, 468, 3)).astype(np.float32)
    landmarks += 3 * np.array(labels)[:, None, None] * np.arange(468)[None, :, None] / 468
    np.savez(folder / "meshes.npz", id=np.array(names), landmarks=landmarks)
    return folder


def test_the_pipeline_is_kept_as_arrays(meshes: Path, tmp_path: Path) -> None:
    """What was fitted answers as before when it is read again, and is no pickle."""
    fitted, what = pipeline.fit(meshes)
    assert what == "fitted to 140 meshes of FER-2013"
    pipeline.save(tmp_path / "a.npz", fitted, what)
    assert pipeline.made_from(tmp_path / "a.npz") == what
    loaded = pipeline.load(tmp_path / "a.npz")
    with np.load(meshes / "meshes.npz", allow_pickle=False) as kept:
        features = pipeline.distances(kept["landmarks"])
    assert (loaded.predict_proba(features) == fitted.predict_proba(features)).all()
    assert np.allclose(features.mean(1), 1, atol=1e-5)
    assert features[:, pipeline.NOSE_TIP].max() == 0


def test_without_meshes_one_of_the_same_size_is_made(tmp_path: Path) -> None:
    out = tmp_path / "b.npz"
    pipeline.main(tmp_path / "none", out)
    assert pipeline.made_from(out) == pipeline.INVENTED
    loaded = pipeline.load(out)
    assert loaded[-1].support_vectors_.shape == (sum(pipeline.SUPPORT_VECTORS), 50)
    told = loaded.predict_proba(np.random.default_rng(2).normal(1, 0.3, (1, 468)))
    assert told.shape == (1, 7)
    assert told.sum() == pytest.approx(1)


def test_a_pipeline_is_made_once_and_again_when_there_are_meshes(
    meshes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "CACHE", tmp_path)
    here = Path(sys.executable)
    assert command._pipeline(here, tmp_path / "none") == pipeline.INVENTED
    for folder in (meshes, tmp_path / "none"):
        assert command._pipeline(here, folder) == "fitted to 140 meshes of FER-2013"
