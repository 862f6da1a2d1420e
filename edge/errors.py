"""Errors that a user can mend: each message is one line that says what to do."""


class EdgeError(Exception):
    """Base of all errors that this package raises on purpose."""


class SetupError(EdgeError):
    """Something is missing or does not fit: a model file, a runtime, a setting."""


class SourceError(EdgeError):
    """A camera, picture or video cannot be opened or read."""


class SettingsError(SetupError):
    """A settings file, variable or flag says what is not allowed."""


class OutputError(EdgeError):
    """Readings cannot get out: a full disk behind stdout, a port in use."""
