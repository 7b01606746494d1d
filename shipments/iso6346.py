"""
The check digit of ISO 6346, which containers carry and which the European Union's customs took over for their numbers.

Pure functions. What is checked is that a number was copied right, never that it was issued.
"""

import re
import string

_CONTAINER = re.compile(r"[A-Z]{3}[UJZ][0-9]{7}", re.ASCII)

# ISO 6346, annex A: letters count upwards from 10 and leave out the multiples of 11.
_VALUES = dict(zip(string.ascii_uppercase, (value for value in range(10, 39) if value % 11), strict=True)) | {
    digit: int(digit) for digit in string.digits
}


def check_digit(characters: str) -> str:
    """
    Return the check digit that follows ``characters`` (upper-case ASCII letters and digits).

    Each value counts twice as much as the one before it; the sum modulo 11, and 10 is written 0.
    """
    weighted = sum(_VALUES[character] << place for place, character in enumerate(characters))
    return str(weighted % 11 % 10)


def is_container_number(number: str) -> bool:
    """Tell whether ``number`` has a container's form: owner (3 letters), U, J or Z, 6 digits and one more."""
    return _CONTAINER.fullmatch(number) is not None


def check_digit_holds(number: str) -> bool:
    """Tell whether the last character of ``number`` is the check digit of those before it."""
    return number[-1:] == check_digit(number[:-1])
