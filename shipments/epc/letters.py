"""The characters that a GS1 serial may have, and how a URN writes those that are no letters of its own."""

# GS1 General Specifications, figure 7.11-1 (TDS 1.13, table A-1).
ADMITTED = frozenset("!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
_ESCAPED = frozenset('"%&/<>?')


def escape(serial: str) -> str:
    """Return ``serial`` as it stands in an EPC URN (TDS 1.13, section 6.3)."""
    if _ESCAPED.isdisjoint(serial):
        return serial
    return "".join(f"%{ord(letter):02X}" if letter in _ESCAPED else letter for letter in serial)
