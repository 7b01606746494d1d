"""Play one reader at a dock door: ``simulate_readers`` with one of them, and without patience."""

from shipments.management.commands.simulate_readers import Command as SimulateReaders


class Command(SimulateReaders):
    help = (
        "Deliver the tags of a shipment to a running server, as a reader would. With --shipment alone it plays the "
        "reader at the read point that reads now, under a credential made for the run."
    )
    all_readers = False
    patience = 0.0
