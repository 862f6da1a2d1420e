"""The model card `models/README.md`, written anew from each manifest: no figure is typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.types import CLASSES

FILE = "README.md"


def text(manifest: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    dataset, models = manifest["dataset"], manifest["models"]
    learnt = ", ".join(dataset.get("train_on", [])) or "its sources"
    return "\n".join(
        [
            "# Model card",
            "",
            "Written by `make convert` from `manifest.json`; do not edit. How the classifiers were",
            "found: [train/README.md](../train/README.md).",
            "",
            "## What they are",
            "",
            "Classifiers of a face mesh (468 points, MediaPipe's mesh V1) into seven expressions:",
            f"{', '.join(CLASSES)}. They never see a pixel. Choose one with `--model`.",
            "",
            *_models(models),
            "",
            "## Data and protocol",
            "",
            f"Trained on {dataset.get('train', 0):,} pictures of {learnt}, and on other views of",
            "them (mirrored, degraded; the graph network also turned, the SVM worn ones of large",
            "pictures), each seen through the mesh",
            f"network again. Judged on {dataset.get('validation', 0):,} validation pictures: the",
            "official ones where a source has them (FER-2013: PublicTest), else a share of its",
            "groups; every picture is counted. Identical pictures, and those of a likeness of",
            f"{dataset.get('near', 1)} or more, never lie on both sides. Temperatures, and the",
            "weights of `both` where there is one, were fitted on the validation pictures of the",
            "sources that were trained on. All figures are of the shipped files, on meshes as of",
            "face crops; `make evaluate` goes through the detector and differs by half a point.",
            "Pictures are read twice, as they are and mirrored, as `classify` does; *once* is the",
            "accuracy without that, as a camera's single frames are read.",
            "",
            *(line for name, entry in models.items() for line in _metrics(name, entry)),
            *_variants(models.get("gnn", {})),
            *_trust(models),
            *_plausible(manifest["plausible"]),
            "## Limits, and lawful use",
            "",
            "- They read the expression on a face, not what a person feels. People agree with",
            "  FER-2013's labels in about 65 of 100 cases.",
            "- A source that was not trained on has other faces, labels and shares of classes:",
            "  rare classes are read worst there. Compare the tables, where there are two sources.",
            "- How they do on ages, skin tones, glasses, masks or cultures was not measured.",
            "- EU AI Act (2024/1689), Art. 5(1)(f): inferring emotions of people at work or in",
            "  education is forbidden except for medical or safety reasons; elsewhere people have",
            "  to be told (Art. 50(3)).",
            "",
        ]
    )


def _models(models: Mapping[str, Any]) -> list[str]:
    rows = ["| model | what | files |", "| --- | --- | --- |"]
    for name, entry in models.items():
        if entry["kind"] == "svm":
            count = entry["arrays"]["support_vectors"]["shape"][0]
            what, size = f"PCA + RBF SVM, {count:,} vectors", entry["bytes"]
        elif entry["kind"] == "gnn":
            what = f"graph network, {entry['parameters']:,} parameters, {entry['quantisation']}"
            size = entry["bytes"] + entry["normaliser"]["bytes"]
        else:
            parts = (f"{weight:g} × {part}" for part, weight in entry["weights"].items())
            then = f" (probabilities), temperature {entry['temperature']:.2f}"
            what, size = " + ".join(parts) + then, 0
        rows.append(f"| `{name}` | {what} | {f'{size / 1e6:.2f} MB' if size else 'both'} |")
    return rows


def _metrics(name: str, entry: Mapping[str, Any]) -> list[str]:
    rows = [
        f"### `{name}`",
        "",
        f"| source | pictures | once | accuracy | macro-F1 | F1: {' | '.join(CLASSES)} |",
        "| --- " * (len(CLASSES) + 5) + "|",
    ]
    for source, figures in entry["metrics"].items():
        each = " | ".join(f"{figures['f1'].get(label, 0):.2f}" for label in CLASSES)
        rows.append(
            f"| {source} | {figures['pictures']:,} | {entry['once'][source]:.3f} | "
            f"{figures.get('accuracy', 0):.3f} | "
            f"{figures.get('macro_f1', 0):.3f} | {each} |"
        )
    return [*rows, ""]


def _trust(models: Mapping[str, Any]) -> list[str]:
    told = [
        "### Confidence",
        "",
        "Calibration error (ECE, 15 bins), each validation picture judged by a calibration fitted",
        "on other groups, and accuracy of the surest 70 %; of each source, and of those trained on",
        "together:",
        "",
    ]
    sources = list(next(iter(models.values()))["calibration"])
    told += [f"| model | {' | '.join(sources)} |", "| --- " * (len(sources) + 1) + "|"]
    for name, entry in models.items():
        cells = (
            f"{of['ece']:.3f}, {of['accuracy_of_surest_70']:.3f}"
            for of in entry["calibration"].values()
        )
        told.append(f"| `{name}` | {' | '.join(cells)} |")
    told += [
        "",
        "Risks (shares of wrong labels) that `max_risk` can keep, the confidence that each takes,",
        "and the share of validation pictures that is then told. 19 of 20 validation sets like",
        "this one give confidences that keep the risk among faces like theirs (Learn then Test, on",
        "one picture of each group):",
        "",
    ]
    risks = sorted({row["risk"] for entry in models.values() for row in entry["risks"]})
    told += [
        f"| model | {' | '.join(f'{r:g}' for r in risks)} |",
        "| --- " * (len(risks) + 1) + "|",
    ]
    for name, entry in models.items():
        rows = {row["risk"]: row for row in entry["risks"]}
        cells = (
            f"{rows[r]['confidence']:.2f}, {rows[r]['coverage']:.0%}" if r in rows else "–"
            for r in risks
        )
        told.append(f"| `{name}` | {' | '.join(cells)} |")
    return [*told, ""]


def _plausible(limits: Mapping[str, Any]) -> list[str]:
    told = [
        "### What they do not read",
        "",
        f"Faces lower than {limits['pixels']:g} pixels (forehead to chin), turned by more than "
        f"{limits['yaw']:g}°,",
        f"nodded by more than {limits['pitch_up']:g}° up or {limits['pitch_down']:g}° down are "
        "`unknown`; so are face crops",
        "in which little speaks for a face. Of the validation pictures:",
        "",
    ]
    for source, of in limits["validation"].items():
        told.append(
            f"- {source}: {of['frames_unknown']:.1%} of the faces are beyond these; read as crops, "
            f"{of['crops_unknown']:.1%} are unknown, which costs {of['crops_lost']:.2%} of accuracy"
        )
    return [*told, ""]


def _variants(entry: Mapping[str, Any]) -> list[str]:
    if not entry:
        return []
    rows = [
        "### The graph network, quantised",
        "",
        "The ranges of `int8` are those of the nearer nine tenths of faces, of `int8-half` of the",
        "nearer half.",
        "",
        "| variant | bytes | accuracy | Keras' label | time, of the mesh network's | memory |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, of in entry["variants"].items():
        shipped = " (shipped)" if name == entry["quantisation"] else ""
        memory = of["kilobytes_of_memory"]  # measured on Linux only
        rows.append(
            f"| {name}{shipped} | {of['bytes']:,} | {of['accuracy']:.4f} | "
            f"{of['same_label_as_keras']:.2%} | {of['share_of_mesh_network']:.1%} | "
            f"{'–' if memory is None else f'{memory / 1024:.1f} MB'} |"
        )
    return [*rows, ""]
