"""Temperature, clock and throttling, before, while and after it is measured."""

from __future__ import annotations

from dataclasses import dataclass

from edge import host


@dataclass(frozen=True)
class Heat:
    """A moment of the machine; what it does not tell is None."""

    when: str
    """ "before", the part that had just been measured, or "after"."""
    celsius: float | None
    mhz: float | None
    """Of the slowest core's clock."""
    throttled: str | None
    """Why it is slowed down at this moment; empty when it is not."""
    occurred: str | None
    """Why it was since its start."""

    @classmethod
    def now(cls, when: str) -> Heat:
        """Take it."""
        flags = host.throttle()
        clocks = [clock.now_mhz for clock in host.clocks() if clock.now_mhz is not None]
        return cls(
            when,
            host.temperature(),
            min(clocks, default=None),
            None if flags is None else str(flags.now),
            None if flags is None else str(flags.occurred),
        )


def summary(moments: list[Heat]) -> list[str]:
    """In a few lines."""
    parts = {
        "before": moments[:1],
        "while": [moment for moment in moments if moment.when not in ("before", "after")],
        "after": moments[-1:],
    }
    lines = []
    for when, some in parts.items():
        celsius = [moment.celsius for moment in some if moment.celsius is not None]
        mhz = [moment.mhz for moment in some if moment.mhz is not None]
        told = [f"{max(celsius):.0f} °C" if celsius else "temperature not told"]
        told.append(f"{min(mhz):.0f} MHz at least" if mhz else "clock not told")
        reasons = sorted({moment.throttled for moment in some if moment.throttled})
        known = any(moment.throttled is not None for moment in some)
        told.append(
            "throttled: " + "; ".join(reasons)
            if reasons
            else "not throttled"
            if known
            else "throttling not told"
        )
        lines.append(f"{when}: {', '.join(told)}")
    if moments[-1].occurred:
        lines.append(f"since the machine's start: {moments[-1].occurred}")
    return lines
