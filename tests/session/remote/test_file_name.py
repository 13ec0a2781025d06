"""LabRecorder's file names become folders inside the session's own, whatever the network says."""

import re

import pytest

from bci_m2s.errors import CommandError
from bci_m2s.session.remote.file_name import FileName


@pytest.mark.parametrize(
    ("options", "folder"),
    [
        # the example of LabRecorder's README
        (
            r"{template:exp%n\%p_block_%b.xdf} {run:2} {participant:P003} {task:MemoryGuided}",
            "exp002/P003_block_MemoryGuided",
        ),
        ("{task:rest}", "sub-P001/ses-S001/eeg/sub-P001_ses-S001_task-rest_run-001_eeg"),
        (
            "{participant:01}{session:02}{acquisition:a}{run:12}",
            "sub-01/ses-02/eeg/sub-01_ses-02_task-Default_acq-a_run-012_eeg",
        ),
        ("{root:pilot} {template:%P.XDF}", "pilot/P001"),
        ("{template:%p} {participant:../../etc/passwd}", "_.._etc_passwd"),
        ("{template:a/./b//c}", "a/b/c"),
        ("{template:CON/aux.txt}", "_CON/_aux.txt"),
        ("{template:%p} {participant:Zoë $(rm) \x00;}", "Zoë___rm____"),
        ("{template:x} {task:a:b}", "x"),
    ],
)
def test_folders(options, folder):
    got, remark = FileName().take(options)
    assert got == folder
    assert remark == ""


@pytest.mark.parametrize(
    "root",
    ["C:\\Data\\", "/etc", "\\\\server\\share", "~/x", "C:x"],
    ids=["drive", "posix", "unc", "home", "c"],
)
def test_a_root_elsewhere_is_not_used_and_that_is_said(root):
    folder, remark = FileName().take("{template:x} {root:" + root + "}")
    assert folder == "x"
    assert "is not used" in remark


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("", "expected {option:value}"),
        ("{task:a} b", "got 'b'"),
        ("{taks:a}", "nearest: 'task'"),
        ("{run:one}", "run: got 'one', expected a number"),
        ("{run:٣}", "expected a number"),
        ("{template:../x}", "without '..'"),
        ("{template:..\\x}", "without '..'"),
        ("{root:..}", "without '..'"),
        ("{template:/x}", "inside the session's folder"),
        ("{template:%x}", "got '%x', expected one of %b"),
        ("{template:a/b/c/d/e/f/g/h/i}", "got 9 folders, expected 8 at most"),
        ("{", "expected {option:value}"),
    ],
)
def test_what_leads_out_or_means_nothing_is_refused_as_a_whole(options, words):
    name = FileName()
    with pytest.raises(CommandError, match=re.escape(words)):
        name.take(options)
    assert name.take("{template:%b}") == ("Default", "")


def test_an_option_stays_until_it_is_said_again_and_names_have_an_end():
    name = FileName()
    name.take("{template:%p-%b-%r} {participant:7}")
    assert name.take("{run:2}")[0] == "7-Default-002"
    assert len(name.take("{participant:" + "x" * 4000 + "}")[0]) == 120
