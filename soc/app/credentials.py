"""A configuration and a role in, the configuration with that role's own user and secret files out.

So one file serves every role with least privilege: `user: "soc-{role}"`, `password_file: kafka-soc-{role}.password`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from soc.app.config import Config

#: Who asks: the workers; a person's commands that look (`reader`), triage (`analyst`), send files (`ingest`); set-up.
Role = Literal["collect", "detect", "alert", "watch", "reader", "analyst", "ingest", "doctor", "admin"]

_PLACE: Final = "{role}"
_TEXTS: Final = ("user",)
_FILES: Final = ("password_file", "api_key_file")


def as_role(config: Config, role: Role, environment: Mapping[str, str] = os.environ) -> Config:
    """`{role}` in users and secret files becomes the role. A secret file with a relative path is taken from the folder
    $CREDENTIALS_DIRECTORY if it lies there.

    systemd sets that variable for LoadCredential= (systemd.exec(5)); the containers set it to /run/secrets.
    """
    folder = environment.get("CREDENTIALS_DIRECTORY", "")
    changed = {}
    for name in ("bus", "store", "kibana"):
        section = getattr(config, name)
        update: dict[str, Any] = {}
        for key in _TEXTS:
            if _PLACE in (text := getattr(section, key, "")):
                update[key] = text.replace(_PLACE, role)
        for key in _FILES:
            if (path := getattr(section, key, None)) is not None:
                update[key] = _found(Path(str(path).replace(_PLACE, role)), folder)
        if update:
            changed[name] = section.model_copy(update=update)
    return config.model_copy(update=changed) if changed else config


def _found(path: Path, folder: str) -> Path:
    if not folder or path.is_absolute():
        return path
    inside = Path(folder) / path
    try:
        return inside if inside.is_file() else path
    except OSError:  # not ours to look at: whoever reads it says so
        return inside
