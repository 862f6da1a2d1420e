"""Settings: frozen dataclasses, one per table of the TOML file.

Each field says its unit; its metadata says what is allowed (`edge.settings.fields`). Where values
come from, and in which order: `edge.settings.load`.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge.settings.fields import between, names, one_of, switch, text


@dataclass(frozen=True, slots=True)
class ClassifySettings:
    """Which classifier."""

    model: str = text("svm", "a model of the bundle: 'svm', 'gnn' or 'both'")
    """Classifier of the bundle: "svm", "gnn" or "both"."""
    bundle: str = text("", "a folder, or '' for the one that came with the program")
    """Folder of the model bundle; empty for the one that came with the program."""
    max_risk: float = between(1.0, 0.0, 1.0)
    """Share of wrong labels, 0 to 1, that is borne in single pictures: less sure ones are
    `unknown`. 1 for all labels. For a camera, see `smooth.max_risk`."""
    baseline: str = text("", "a file, or '' for none")
    """File with a person's resting face, which `calibrate` writes; empty for none. As long as there
    is no such file, all faces are read alike, and that is told. It is taken off every face, in
    `classify` too: `--set classify.baseline=` for pictures of others."""
    baseline_strength: float = between(0.4, 0.0, 1.0)
    """How much of the difference between that face and the average one is taken off, 0 to 1. The
    default is the best for people of the training pictures with one picture as their baseline."""


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """How a face is found."""

    backend: str = one_of("tflite", "tflite", "mediapipe")
    """Whose mesh: "tflite" is ours; "mediapipe" is the mediapipe package, if it is installed."""
    min_detection: float = between(0.5, 0.01, 0.99)
    """Score, 0 to 1, below which the detector's box is no face."""
    min_presence: float = between(0.5, 0.0, 1.0)
    """Presence, 0 to 1, below which the mesh network's look is no face."""
    select: str = one_of("largest", "largest", "surest")
    """Which face of several: "largest", or "surest" (the detector's best score)."""
    threads: int = between(1, 1, 16)
    """CPU threads for each network."""
    check: bool = switch(True)
    """Whether faces too small, or turned too far, for what the model has learnt, and face crops
    without a face, are `unknown`. The limits are the bundle's."""
    still: bool = switch(True)
    """Whether a frame in which nothing moved gives the last reading again, without a look at it;
    for half a second (at 15 frames a second) at most. `classify` looks at each."""
    crop_scale: float = between(1.375, 0.5, 3.0)
    """First look at a picture that is a face crop: its longer side times this. The default, and
    that of the centre, is where looks at FER-2013 settle in the median."""
    crop_centre: float = between(0.53, 0.0, 1.0)
    """Height of that look's centre, 0 (top) to 1 (bottom) of the picture."""
    crop_looks: int = between(3, 1, 5)
    """Looks at such a picture, and at any that stands alone, as in `classify`; each but the first
    starts from the landmarks before. From three on, the mesh is the mean of the last two."""
    crop_mirrored: bool = switch(True)
    """Whether such a picture is also looked at as its mirror image shows it, once; both are
    classified then, and what is told is a mean of both answers."""


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """Where frames come from, and what is asked of a camera. Files and streams come as they are."""

    source: str = text("auto", "'auto' or a URI")
    """`auto` for the camera of this machine, or a URI: `picamera2:`, `v4l2:0`, `http://…`,
    `rtsp://…`, a video, a folder of pictures."""
    width: int = between(640, 64, 4096)
    """Pixels."""
    height: int = between(480, 64, 4096)
    """Pixels."""
    frames_per_second: float = between(15.0, 0.5, 120.0)
    """Frames a second: asked of a camera, and the most that the daemon reads of any source."""
    timeout_seconds: float = between(1.5, 0.1, 10.0)
    """Seconds without a frame after which a camera counts as lost."""
    retry_seconds: float = between(2.0, 0.1, 10.0)
    """Longest pause between two attempts to open a lost camera, seconds."""


@dataclass(frozen=True, slots=True)
class SmoothSettings:
    """How probabilities of single frames become a steady label."""

    time_constant_seconds: float = between(0.25, 0.0, 10.0)
    """Seconds in which the smoothed probabilities go 63 % of the way to a new level."""
    margin: float = between(0.15, 0.0, 0.9)
    """By how much another expression's smoothed probability, 0 to 1, has to lead to take over."""
    hold_seconds: float = between(0.4, 0.0, 60.0)
    """Shortest time for which a label is told, seconds, as long as there is a face."""
    max_risk: float = between(0.4, 0.0, 1.0)
    """Share of wrong labels, 0 to 1, that is borne: below the confidence that keeps it in single
    pictures, the label is `unknown`. 1 for all labels."""
    gone_seconds: float = between(0.5, 0.0, 60.0)
    """Seconds without a face after which the label is `unknown`."""


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """What the daemon tells, on stdout (the journal) and over MQTT."""

    stdout: str = one_of("changes", "changes", "frames", "none")
    """JSON lines for changes of the label or the camera, for all frames, or none."""
    heartbeat_seconds: float = between(60.0, 1.0, 86400.0)
    """Seconds after which an unchanged state is told again."""


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """The broker. Its password is no setting: see `password_file`."""

    host: str = text("", "a host name or address, or '' for no MQTT")
    """Name or address of the broker; empty for no MQTT."""
    port: int = between(1883, 1, 65535)
    """TCP port; 8883 is usual with TLS."""
    tls: bool = switch(False)
    """Whether to talk TLS and check the broker's certificate."""
    ca_file: str = text("", "a PEM file, or '' for the system's")
    """Certificates that sign the broker's; empty for the system's."""
    username: str = text("")
    """User at the broker; empty for none."""
    password_file: str = text("", "a file, or '' for the credential mqtt-password")
    """File with the password; empty for systemd's credential `mqtt-password`."""
    topic: str = names("fer-edge", "letters, digits, - and _, perhaps / within", empty=False)
    """Everything is published below TOPIC/NODE/."""
    node: str = names("", "letters, digits, - and _, or '' for the host name", slash=False)
    """Name of this device; empty for its host name."""
    discovery_prefix: str = names(
        "homeassistant", "letters, digits, - and _, perhaps / within, or ''"
    )
    """Where Home Assistant looks for devices; empty to announce nothing."""
    queue_messages: int = between(1000, 1, 1000000)
    """Messages kept while the broker is away; the oldest go first."""


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Prometheus metrics over HTTP."""

    port: int = between(0, 0, 65535)
    """TCP port; 0 for none."""
    address: str = text("127.0.0.1", "an address of this machine")
    """Address to listen on; only this machine's own by default."""


@dataclass(frozen=True, slots=True)
class PageSettings:
    """The live page for aiming the camera."""

    port: int = between(0, 0, 65535)
    """TCP port; 0 for none."""
    address: str = text("127.0.0.1", "an address of this machine")
    """Address to listen on; only this machine's own by default, all others need a token."""
    token_file: str = text("", "a file, or '' for the credential page-token")
    """File with what a viewer has to know; empty for systemd's credential `page-token`, which is
    asked for beyond this machine only."""
    picture: bool = switch(False)
    """Whether the camera's picture is shown, too. The page says so in red."""


@dataclass(frozen=True, slots=True)
class PaceSettings:
    """When to read fewer frames."""

    idle_after_seconds: float = between(10.0, 0.0, 86400.0)
    """Seconds without a face after which the daemon idles."""
    idle_frames_per_second: float = between(3.0, 0.5, 120.0)
    """Frames a second while it idles."""
    max_cpu: float = between(1.0, 0.05, 64.0)
    """CPU seconds a second (1 is one core) above which the rate is lowered."""
    hot_celsius: float = between(75.0, 30.0, 120.0)
    """Degrees Celsius from which on the rate is lowered; also where the Pi says it is throttled."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All of them."""

    classify: ClassifySettings = ClassifySettings()
    """Table `[classify]`."""
    mesh: MeshSettings = MeshSettings()
    """Table `[mesh]`."""
    camera: CameraSettings = CameraSettings()
    """Table `[camera]`."""
    smooth: SmoothSettings = SmoothSettings()
    """Table `[smooth]`."""
    output: OutputSettings = OutputSettings()
    """Table `[output]`."""
    mqtt: MqttSettings = MqttSettings()
    """Table `[mqtt]`."""
    metrics: MetricsSettings = MetricsSettings()
    """Table `[metrics]`."""
    page: PageSettings = PageSettings()
    """Table `[page]`."""
    pace: PaceSettings = PaceSettings()
    """Table `[pace]`."""
