"""A unit is the same under all the names that senders give it."""

import math

import pytest

from bci_m2s.signal.units import UNITS, find_unit


@pytest.mark.parametrize("stated", ["microvolts", "µV", "μV", " uV ", "UV", "Microvolt", "uvolts"])
def test_names_of_microvolts(stated):
    unit = find_unit(stated)
    assert (unit.name, unit.short, unit.factor, unit.is_voltage) == ("microvolts", "µV", 1e-6, True)


def test_every_name_leads_to_one_unit():
    for unit in UNITS:
        for name in filter(None, (unit.name, unit.short, *unit.others)):
            assert find_unit(name) is unit


@pytest.mark.parametrize("stated", ["", " ", "furlongs", "µVs"])
def test_no_unit_of_ours(stated):
    assert find_unit(stated) is None


def test_factors_are_those_of_the_si():
    assert find_unit("mV").factor == 1e-3
    assert find_unit("mm").base == "m"
    assert math.isclose(find_unit("deg").factor * 180, math.pi)
    assert not find_unit("px").is_voltage
