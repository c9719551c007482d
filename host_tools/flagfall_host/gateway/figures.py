"""What a gateway says of itself: the figures of /metrics and the word of /health."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 60)
_UNITS = (1, 2, 4, 8, 16, 32, 64)

disable_created_metrics()


class Figures:
    """One gateway's figures, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.connections = Gauge(
            "flagfall_connections", "Connections that stand", registry=registry
        )
        self.handshakes = Gauge(
            "flagfall_handshakes",
            "Connections whose TLS handshake has not ended",
            registry=registry,
        )
        self.accepted = Counter(
            "flagfall_accepted", "Connections that were accepted", registry=registry
        )
        self.turned_away = Counter(
            "flagfall_turned_away",
            "Connections that came to no talk",
            ["reason"],  # full, handshake, certificate, revoked, key, greeting
            registry=registry,
        )
        self.visits = Counter(
            "flagfall_visits",
            "Visits of units that proved their key",
            ["end"],  # done, lost, fault, database, limit
            registry=registry,
        )
        self.records = Counter("flagfall_records", "Records booked", registry=registry)
        self.repeated = Counter(
            "flagfall_records_repeated", "Records that were booked before", registry=registry
        )
        self.losses = Counter(
            "flagfall_records_lost", "Records damaged, refused or missing", registry=registry
        )
        self.receipt_s = Histogram(
            "flagfall_receipt_seconds",
            "From connect to the first receipt",
            buckets=_SECONDS,
            registry=registry,
        )
        self.booking_s = Histogram(
            "flagfall_booking_seconds", "One commit", buckets=_SECONDS, registry=registry
        )
        self.batch = Histogram(
            "flagfall_booking_units", "Units in one commit", buckets=_UNITS, registry=registry
        )
        self.certificate_left = Gauge(
            "flagfall_certificate_seconds", "Until the certificate ends", registry=registry
        )
        self.healthy = Gauge("flagfall_healthy", "1: takes units", registry=registry)

    def text(self) -> bytes:
        """All of them in Prometheus' text format."""
        return generate_latest(self.registry)
