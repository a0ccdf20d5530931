"""What every command does first."""

from __future__ import annotations

from runtime.logs import configure_logs
from runtime.settings import Settings, load_settings


def start() -> Settings:
    """Read the settings and set up logging. Raises RuntimeFailure for a wrong setting."""
    settings = load_settings()
    configure_logs(settings.log_format, settings.log_level)
    return settings
