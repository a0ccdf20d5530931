"""Settings: `METERWARDEN_*` variables first, then `meterwarden.toml`, then defaults."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from runtime.exceptions import RuntimeFailure


class Settings(BaseSettings):
    """Every setting there is; units stand in the names."""

    model_config = SettingsConfigDict(
        env_prefix="METERWARDEN_", toml_file="meterwarden.toml", extra="forbid", env_ignore_empty=True
    )

    #: PostgreSQL or TimescaleDB; without it the embedded PostgreSQL starts.
    database_url: str | None = None
    #: mqtt:// or mqtts://, user and password inside; without it the embedded broker starts.
    mqtt_url: str | None = None
    #: 5, or 3 for MQTT 3.1.1.
    mqtt_version: Annotated[Literal[3, 5], BeforeValidator(int)] = 5
    #: Group of ingest processes that share the telemetry, each under its own `ingest_identity`.
    mqtt_share: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    #: How long the broker keeps what waits for an absent ingest process; MQTT 5 only.
    mqtt_session_expiry_s: int = Field(default=7 * 86400, ge=10, le=2**32 - 1)
    #: Where the embedded parts keep their files.
    data_dir: Path = Path(".local/meterwarden")
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8420, ge=1, le=65535)
    #: Every request but /healthz needs it, and without it HTTP stays on 127.0.0.1.
    api_token: SecretStr | None = None
    #: Fixed name of the MQTT session; a second process of the same name stands by.
    ingest_identity: str = Field(default="meterwarden-ingest", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    #: Readings older than this are refused.
    reading_max_age_days: int = Field(default=90, ge=1, le=3650)
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("mqtt_url")
    @classmethod
    def _is_mqtt(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"mqtts?://[^/]", value):
            msg = "has to look like mqtt://host:1883 or mqtts://host:8883"
            raise ValueError(msg)
        return value

    @property
    def mqtt_v5(self) -> bool:
        """Whether to speak MQTT 5 rather than 3.1.1."""
        return self.mqtt_version == 5  # noqa: PLR2004 (the protocol's number)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (the library's signature)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (the library's signature)
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the variables before the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings() -> Settings:
    """Read the settings. Raises RuntimeFailure that names each wrong one, never its value."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise RuntimeFailure("settings: " + "; ".join(wrong)) from None
    except (OSError, ValueError) as error:
        msg = f"meterwarden.toml: {error}"
        raise RuntimeFailure(msg) from error
