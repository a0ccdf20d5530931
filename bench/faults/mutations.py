"""Ingest made wrong on purpose, to see that the harness finds it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ingest.delivery import Delivery
from ingest.session import MqttSession


class WithoutEpochGuard(MqttSession):
    """Acknowledges on whatever connection there is what an earlier one delivered."""

    def acknowledge(self, deliveries: Sequence[Delivery]) -> int:
        """Pretend that all of it came over the present connection."""
        return super().acknowledge([replace(part, epoch=self.epoch) for part in deliveries])


class AcknowledgesFirst(MqttSession):
    """Acknowledges what is taken before anything is committed."""

    def take(self, most: int, timeout_s: float) -> list[Delivery]:
        """Take and acknowledge in one."""
        deliveries = super().take(most, timeout_s)
        super().acknowledge(deliveries)
        return deliveries

    def acknowledge(self, deliveries: Sequence[Delivery]) -> int:
        """Do nothing more."""
        return sum(map(len, deliveries))


MUTATIONS: dict[str, type[MqttSession]] = {
    "epoch_guard_off": WithoutEpochGuard,
    "acknowledge_first": AcknowledgesFirst,
}
