"""Numbers, amounts, times and ordinals in one form: two weeks is 14 days, 7 pm is 19:00."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from types import MappingProxyType

__all__ = ["CURRENCY", "MAGNITUDE", "clock_time", "number_text", "quantity", "unit_of"]

# unit word -> (dimension, factor to the dimension's own unit)
_UNITS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("second", "seconds", "sec", "secs"), ("s", "1")),
        **dict.fromkeys(("minute", "minutes", "min", "mins"), ("s", "60")),
        **dict.fromkeys(("hour", "hours", "hr", "hrs", "h"), ("s", "3600")),
        **dict.fromkeys(("day", "days"), ("s", "86400")),
        **dict.fromkeys(("week", "weeks", "wk", "wks"), ("s", "604800")),
        **dict.fromkeys(("fortnight", "fortnights"), ("s", "1209600")),
        **dict.fromkeys(("month", "months"), ("month", "1")),
        **dict.fromkeys(("year", "years", "yr", "yrs"), ("month", "12")),
        **dict.fromkeys(("ms", "millisecond", "milliseconds"), ("s", "0.001")),
        **dict.fromkeys(("g", "gram", "grams", "gramme"), ("g", "1")),
        **dict.fromkeys(("mg", "milligram", "milligrams"), ("g", "0.001")),
        **dict.fromkeys(("mcg", "microgram", "micrograms"), ("g", "0.000001")),
        **dict.fromkeys(("kg", "kilo", "kilos", "kilogram", "kilograms"), ("g", "1000")),
        **dict.fromkeys(("lb", "lbs"), ("lb", "1")),
        **dict.fromkeys(("oz", "ounce", "ounces"), ("oz", "1")),
        **dict.fromkeys(("mm", "millimetre", "millimetres", "millimeter"), ("m", "0.001")),
        **dict.fromkeys(("cm", "centimetre", "centimetres", "centimeter"), ("m", "0.01")),
        **dict.fromkeys(("metre", "metres", "meter", "meters"), ("m", "1")),
        **dict.fromkeys(
            ("km", "kilometre", "kilometres", "kilometer", "kilometers"), ("m", "1000")
        ),
        **dict.fromkeys(("mile", "miles", "mi"), ("mile", "1")),
        **dict.fromkeys(("inch", "inches"), ("inch", "1")),
        **dict.fromkeys(("foot", "feet", "ft"), ("inch", "12")),
        **dict.fromkeys(("ml", "millilitre", "millilitres", "milliliter"), ("l", "0.001")),
        **dict.fromkeys(("l", "litre", "litres", "liter", "liters"), ("l", "1")),
        **dict.fromkeys(("kb", "kilobyte", "kilobytes"), ("byte", "1000")),
        **dict.fromkeys(("mb", "megabyte", "megabytes"), ("byte", "1000000")),
        **dict.fromkeys(("gb", "gig", "gigs", "gigabyte", "gigabytes"), ("byte", "1000000000")),
        **dict.fromkeys(("tb", "terabyte", "terabytes"), ("byte", "1000000000000")),
        **dict.fromkeys(("%", "percent", "pct"), ("%", "1")),
        **dict.fromkeys(("gbp", "£", "pound", "pounds", "quid"), ("gbp", "1")),
        **dict.fromkeys(("usd", "$", "dollar", "dollars", "bucks"), ("usd", "1")),
        **dict.fromkeys(("eur", "€", "euro", "euros"), ("eur", "1")),
        **dict.fromkeys(("jpy", "¥", "yen"), ("jpy", "1")),
        **dict.fromkeys(("inr", "₹", "rupee", "rupees"), ("inr", "1")),
        **dict.fromkeys(("chf", "franc", "francs"), ("chf", "1")),
        "cad": ("cad", "1"),
        "aud": ("aud", "1"),
        "°c": ("°c", "1"),
        "°f": ("°f", "1"),
        "celsius": ("°c", "1"),
        "fahrenheit": ("°f", "1"),
        "kwh": ("kwh", "1"),
        "mbps": ("mbps", "1"),
        "gbps": ("mbps", "1000"),
        "mph": ("mph", "1"),
        "mhz": ("mhz", "1"),
        "ghz": ("mhz", "1000"),
    }
)
CURRENCY = "$€£¥₹"
MAGNITUDE: Mapping[str, str] = MappingProxyType(
    {"k": "1000", "m": "1000000", "mn": "1000000", "bn": "1000000000", "b": "1000000000"}
)
_GROUPED = re.compile(r"\d{1,3}(,\d{3})+(\.\d+)?")
_EITHER = re.compile(r"\d{1,3}(\.\d{3})+|\d+,\d+")


def unit_of(word: str) -> tuple[str, str] | None:
    """The dimension of a unit word, and its factor; None where it is no unit."""
    return _UNITS.get(word)


def number_text(digits: str) -> str:
    """A number as written, in one form: without grouping commas.

    What could be read in two ways (1.000, 3,5) stays as written, and so does what may be a name
    rather than a number: leading zeros, versions (3.1 is not 3.10).
    """
    return digits.replace(",", "") if _GROUPED.fullmatch(digits) else digits


def quantity(digits: str, unit: str | None = None, magnitude: str | None = None) -> str:
    """A number and its unit as one word: `#1209600 s`; equal if and only if the amounts are."""
    known = _UNITS.get(unit) if unit is not None else None
    text = number_text(digits)
    if known is None and magnitude is None:
        return f"#{text}"
    if _EITHER.fullmatch(text):
        return f"#{text} {unit or ''}{magnitude or ''}"
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return f"#{text} {unit or ''}"
    dimension, factor = known if known is not None else ("", "1")
    value = amount * Decimal(factor) * Decimal(MAGNITUDE.get(magnitude or "", "1"))
    return f"#{value.normalize():f} {dimension}".rstrip()


def clock_time(hour: int, minute: int, half: str | None) -> str:
    """A time of day: in minutes from midnight where am, pm or the hour tells; else as said."""
    if half is None and hour < 13:
        return f"@{hour}:{minute:02d}"
    if half is not None:
        hour = hour % 12 + (12 if half.startswith("p") else 0)
    return f"@{hour * 60 + minute} min"
