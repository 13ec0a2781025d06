"""A unit is the same under all the names that senders give it."""

import math

import pytest

from bci_m2s.signal.units import UNITS, factor_between, find_unit, is_stated


@pytest.mark.parametrize(
    "stated",
    [
        *(
            "microvolts",
            "µV",
            "μV",
            " uV ",
            "UV",
            "Microvolt",
            "uvolts",
            "uVolts",
            "micro-volts",
            "micro volts",
        ),
        *("(uV)", "[µV]", "µV".encode().decode("latin-1"), "Âµv", "-6", "microV", "\ufffdV"),
    ],
)
def test_names_of_microvolts(stated):
    unit = find_unit(stated)
    assert (unit.name, unit.short, unit.factor, unit.is_voltage) == ("microvolts", "µV", 1e-6, True)


def test_every_name_leads_to_one_unit():
    for unit in UNITS:
        for name in filter(None, (unit.name, unit.short, *unit.others)):
            assert find_unit(name) is unit


@pytest.mark.parametrize("stated", ["", " ", "furlongs", "µVs", ".V", "-", "uV/Hz", "n/a"])
def test_no_unit_of_ours(stated):
    assert find_unit(stated) is None


def test_factors_are_those_of_the_si():
    assert find_unit("mV").factor == 1e-3
    assert find_unit("mm").base == "m"
    assert math.isclose(find_unit("deg").factor * 180, math.pi)
    assert not find_unit("px").is_voltage


@pytest.mark.parametrize(
    ("stated", "wanted", "factor"),
    [
        ("volts", "microvolts", 1e6),
        ("-3", "µV", 1e3),
        ("nV", "uV", 1e-3),
        ("microvolts", "µV", 1.0),
        ("deg", "radians", math.pi / 180),
        ("", "microvolts", 1.0),
        ("n/a", "microvolts", 1.0),
        ("volts", "", 1.0),
        ("Furlongs", "furlongs ", 1.0),
        ("furlongs", "microvolts", None),
        ("mm", "microvolts", None),
        ("pixels", "normalized", None),  # it depends on the screen
    ],
)
def test_stated_units_are_converted_where_that_can_be(stated, wanted, factor):
    found = factor_between(stated, wanted)
    assert found == factor if factor is None else math.isclose(found, factor)


@pytest.mark.parametrize("word", ["", " ", "n/a", "N/A", "unknown", "None", "?"])
def test_words_that_state_nothing(word):
    assert not is_stated(word)
    assert is_stated("furlongs")
