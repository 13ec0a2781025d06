"""Where remote control listens: texts, keys."""

import pytest

from bci_m2s.errors import UsageError
from bci_m2s.session.remote.address import Address, address_of, is_loopback, key_of_environment


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("22345", ("127.0.0.1", 22345)),
        (":0", ("127.0.0.1", 0)),
        ("lab-pc:22346", ("lab-pc", 22346)),
        ("[::1]:22345", ("::1", 22345)),
    ],
)
def test_addresses(text, address):
    got = address_of(text)
    assert (got.host, got.port) == address
    assert address_of(str(got)) == got


@pytest.mark.parametrize("text", ["", "lab-pc", "lab-pc:", "1:70000", "1:-1", "1:٣"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(UsageError, match=r"--remote: got .* expected \[HOST:\]PORT"):
        address_of(text)


def test_loopback():
    assert is_loopback("127.0.0.2")
    assert is_loopback("::1")
    assert not is_loopback("fe80::1%eth0")
    assert not is_loopback("0.0.0.0")


def test_keys_are_long_and_never_shown(monkeypatch):
    monkeypatch.setenv("BCI_M2S_REMOTE_KEY", "short")
    with pytest.raises(UsageError, match="BCI_M2S_REMOTE_KEY: expected 12 to 200") as refused:
        key_of_environment()
    assert "short" not in str(refused.value)
    monkeypatch.setenv("BCI_M2S_REMOTE_KEY", "")
    assert key_of_environment() is None
    assert "secret" not in repr(Address(key="secret-secret"))
