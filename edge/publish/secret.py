"""Words that are no settings, since settings are shown: in a file, or a credential of systemd's."""

from __future__ import annotations

import os
from pathlib import Path

from edge.errors import SettingsError


def secret(setting: str, file: str, credential: str) -> tuple[str, str]:
    """The word, "" for none, and the name of where it stands.

    `file`: the value of `setting`; where it is empty systemd's `credential` is read, if there is
    one. Raises SettingsError when a file cannot be read.
    """
    path, name = Path(file), setting
    if not file:
        folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
        path, name = Path(folder) / credential, f"the credential {credential}"
        if not folder:
            return "", setting
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n"), name
    except FileNotFoundError as error:
        if not file:
            return "", setting
        raise SettingsError(f"{name}: {path} cannot be read: {error.strerror}") from None
    except OSError as error:
        raise SettingsError(f"{name}: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:  # whose message would quote it
        raise SettingsError(f"{name}: {path} is not UTF-8") from None
