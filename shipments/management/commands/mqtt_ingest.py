"""Take readers' reports from an MQTT broker."""

import os
import signal
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from shipments.mqtt_connection import DEFAULT_URL, PATTERN, BrokerMisnamed, Topics, read_broker
from shipments.mqtt_ingest import MqttIngest, SubscriptionRefused, find_reader

CLIENT_ID = "custody-ingest"


class Command(BaseCommand):
    help = (
        "Store what readers publish to an MQTT broker, as what they post over HTTP is stored; a message is "
        "acknowledged when it is committed. Ends on SIGTERM. docs/readers.md tells how to set the broker up."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_broker_arguments(parser)
        parser.add_argument(
            "--client-id",
            default=os.environ.get("MQTT_CLIENT_ID", CLIENT_ID),
            help="one for each deployment and never changed: the broker keeps what is undelivered under it",
        )
        parser.add_argument("--pattern", default=PATTERN, help="topics with the reader's id at {reader}")
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="TOPIC=READER",
            help="a topic, or a filter with + and #, of a reader whose topic is fixed; its name or id; may be repeated",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            broker = read_broker_options(options)
            topics = Topics(pattern=options["pattern"], fixed=dict(map(_split, options["map"])))
            ingest = MqttIngest(broker=broker, topics=topics, client_id=options["client_id"])
        except (BrokerMisnamed, OSError) as error:
            raise CommandError(str(error)) from error
        for name in topics.fixed.values():
            if find_reader(name) is None:
                raise CommandError(f"There is no reader {name!r}.")

        def end(_number: int, _frame: FrameType | None) -> None:
            ingest.stop()

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        self.stdout.write(f"Reading {', '.join(topics.filters)} from {broker} as {options['client_id']}")
        self.stdout.flush()
        try:
            ingest.run()
        except SubscriptionRefused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Ended: {ingest.stored} messages stored, {ingest.refused} refused.")


def add_broker_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--broker", default=os.environ.get("MQTT_URL", DEFAULT_URL), help="mqtt:// or, with TLS, mqtts://"
    )
    parser.add_argument("--broker-user", default="", help="left out: MQTT_USERNAME or MQTT_USERNAME_FILE")
    parser.add_argument("--broker-password-file", default="", help="left out: MQTT_PASSWORD or MQTT_PASSWORD_FILE")
    parser.add_argument(
        "--ca-file", default="", help="who signed the broker's certificate; left out: the system's list"
    )
    parser.add_argument("--cert-file", default="", help="this client's certificate, where the broker asks for one")
    parser.add_argument("--key-file", default="", help="and its key")


def read_broker_options(options: dict[str, Any]) -> Any:
    """Return the broker that the options name. :raises BrokerMisnamed:"""
    return read_broker(
        options["broker"],
        os.environ,
        username=options["broker_user"],
        password_file=options["broker_password_file"],
        ca_file=options["ca_file"],
        cert_file=options["cert_file"],
        key_file=options["key_file"],
    )


def _split(mapping: str) -> tuple[str, str]:
    topic, equals, reader = mapping.rpartition("=")
    if not equals or not topic or not reader:
        raise BrokerMisnamed(f"--map {mapping!r} is no TOPIC=READER.")
    return topic, reader
