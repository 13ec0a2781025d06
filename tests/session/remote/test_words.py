"""Lines of remote control: what each asks for, what is refused, what is answered."""

import json

import pytest

from bci_m2s.errors import CommandError
from bci_m2s.session.operator_commands import FIELDS
from bci_m2s.session.protocol.controls import ACTIONS
from bci_m2s.session.remote.words import VERBS, reply_of, request_of


def test_every_line_asks_for_a_command_of_the_session():
    for name, verb in VERBS.items():
        request = request_of(f"{name} x" if verb.argument else name)
        assert set(request) - {"do"} == set(FIELDS[verb.do])
        assert verb.do != "protocol" or request["action"] in ACTIONS
    assert {verb.action for verb in VERBS.values()} - {""} == set(ACTIONS)


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("start", {"do": "record_on"}),
        ("  Select   ALL \r", {"do": "select_all"}),
        ("marker trial/start/happy", {"do": "mark", "text": "trial/start/happy"}),
        ("marker  two  words ", {"do": "mark", "text": "two  words"}),
        ("marker start", {"do": "mark", "text": "start"}),
        ("baseline stop", {"do": "baseline_end"}),
        ("stop-session", {"do": "stop"}),
        ("exclude", {"do": "protocol", "action": "exclude", "value": ""}),
        (
            "exclude the door  slammed",
            {"do": "protocol", "action": "exclude", "value": "the door  slammed"},
        ),
        ("answer 7", {"do": "protocol", "action": "answer", "value": "7"}),
        ("filename {task:a b}", {"do": "filename", "text": "{task:a b}"}),
    ],
)
def test_lines(line, request_):
    assert request_of(line) == request_


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "got '', expected one of: start, stop, "),
        ("statr", "got 'statr', expected one of"),
        ("baseline", "got 'baseline', expected one of"),
        ("start now", "start: got 'now' after it, expected nothing"),
        ("marker", "marker: got nothing after it, expected TEXT"),
        ("\x1b[31m" * 900, "got "),
    ],
)
def test_what_is_no_command_is_refused_in_one_short_line(line, words):
    with pytest.raises(CommandError) as refused:
        request_of(line)
    assert words in str(refused.value)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 400


def test_replies():
    assert reply_of("mark", {"said": "marker 'a' written"}) == "OK"
    assert reply_of("mark", {"error": "no\nway"}) == "ERR no way"
    assert json.loads(reply_of("state", {"status": {"a": "☃\n"}})) == {"a": "☃\n"}
    assert "\n" not in reply_of("estimate", {"estimates": [{"reason": "a\nb"}]})
