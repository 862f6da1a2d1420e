"""From the share of wrong labels that is borne to the confidence below which none is told.

The bundle holds, for each model, confidences and the risks that they were shown to keep on the
validation pictures (`convert.risk`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.bundle import MANIFEST, Bundle
from edge.errors import SettingsError, SetupError

ANY = 1.0
"""The risk at which every label is told."""


def least_confidence(
    bundle: Bundle, model: str, max_risk: float, setting: str = "max_risk"
) -> float:
    """Confidence, 0 to 1, from which on at most `max_risk` (0 to 1) of the labels are wrong.

    Of the risks that the bundle offers, the next lower one is taken. `setting`: where `max_risk`
    comes from, as a user knows it. Raises SettingsError, which names it, where there is no such
    risk, and SetupError where the bundle's table is not whole.
    """
    if max_risk >= ANY:
        return 0.0
    try:
        rows: list[Mapping[str, Any]] = bundle.model(model)["risks"]
        offered = {float(row["risk"]): float(row["confidence"]) for row in rows}
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise SetupError(
            f"{bundle.folder / MANIFEST}: the risks of model {model!r} are not whole ({error}): "
            "run `git checkout models`, or `make convert`"
        ) from None
    fitting = [risk for risk in offered if risk <= max_risk]
    if not fitting:
        shown = ", ".join(f"{risk:g}" for risk in sorted(offered)) or "none"
        raise SettingsError(
            f"{setting} = {max_risk:g}: "
            f"model {model!r} can keep {shown}, or {ANY:g} for every label"
        )
    return offered[max(fitting)]
