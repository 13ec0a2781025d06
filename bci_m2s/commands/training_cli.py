"""The part of the command line that is about models of one's own: files, training, figures, data sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from bci_m2s.commands.options import LOADING, SessionId, at_work, lsl_session
from bci_m2s.errors import OutputError, UsageError
from bci_m2s.files.whole import check_target

if TYPE_CHECKING:
    from bci_m2s.training.check.training_file import Checked

app = typer.Typer()
datasets = typer.Typer(help="Your own copies of data sets.", no_args_is_help=True)
app.add_typer(datasets, name="dataset")


@app.command()
def new(
    folder: Annotated[
        Path, Argument(metavar="FOLDER", help="Where the files go; its name is the model's.")
    ],
    source: Annotated[
        Path | None, Option("--from", metavar="FILE|FOLDER", help="Recordings; default: the network.")
    ] = None,
    montage: Annotated[
        str,
        Option(help="Instead: a device, see bci-m2s montages. Beside --from: names for channels without."),
    ] = "",
    eeg: Annotated[str, Option(help="Name of the EEG stream; none: without EEG.")] = "",
    eye: Annotated[
        str, Option(help="Name of the gaze stream, or a tracker beside --montage; none: without.")
    ] = "",
    skin: Annotated[
        str,
        Option(help="Name of a stream with skin conductance; default: where it is all there is."),
    ] = "",
    channels: Annotated[str, Option(help="EEG channels, separated by commas; default: electrodes.")] = "",
    classes: Annotated[
        str, Option(help="calm,tense; 1=calm,2=tense for codes; default: of the markers.")
    ] = "",
    baseline: Annotated[
        float | None, Option(help="Seconds of rest at the beginning; 0: none.", min=0)
    ] = None,
    mains: Annotated[
        float | None, Option(help="Mains frequency, 50 or 60 Hz; 0: none.", min=0, max=400)
    ] = None,
    screen: Annotated[str, Option(help="Width x height of the screen in cm, as 53x30.")] = "",
    distance: Annotated[
        float | None, Option(help="From the eyes to the screen, cm.", min=1, max=1000)
    ] = None,
    pixels: Annotated[str, Option(help="Width x height of the screen in pixels, as 1920x1080.")] = "",
    degrees: Annotated[
        str, Option(help="Instead of a screen: degrees per unit of gaze, as 44.4,26.0.")
    ] = "",
    quick: Annotated[
        bool, Option("--quick", help="A try-out: few epochs, one seed; figures mean little.")
    ] = False,
    yes: Annotated[bool, Option("--yes", help="Ask nothing; take what is likeliest, and say it.")] = False,
    session_id: SessionId = "",
) -> None:
    """Write files for a model of your own: training, pipeline, and a protocol that sends markers."""
    from bci_m2s.files.shipped import names

    if folder.resolve().name in names("models", ".safetensors"):
        raise UsageError(f"{folder}: its name is that of a shipped model, expected one of your own")
    with lsl_session(session_id):
        from bci_m2s.session.terminal.view import make_console
        from bci_m2s.training.new.command import is_asked, new_project
        from bci_m2s.training.new.wishes import Wishes

        new_project(
            folder,
            Wishes(
                source,
                montage,
                classes,
                baseline,
                eeg,
                eye,
                channels,
                screen,
                distance,
                pixels,
                degrees,
                mains,
                skin,
                quick,
                ask=is_asked() and not yes,
            ),
            make_console(),
        )


@app.command()
def montages() -> None:
    """List the devices that `new` and `simulate` know by name."""
    from bci_m2s.session.terminal.view import make_console
    from bci_m2s.training.new.montages import list_montages

    list_montages(make_console())


def _checked(config: Path) -> Checked:
    """A training file in which no mistake was found; what is wrong or odd is said before torch loads."""
    with at_work(f"looking at {config} and its data"):
        from bci_m2s.training.check.training_file import check_training

        checked = check_training(config)
    for note in checked.notes:
        print(f"note: {note}", flush=True)
    return checked


Training = Annotated[Path, Argument(metavar="CONFIG.yaml", help="Training file.")]
Run = Annotated[Path | None, Option(help="Folder of the run; default: runs/ and the file's name.")]


@app.command()
def pretrain(
    config: Training,
    run: Run = None,
    resume: Annotated[bool, Option("--resume", help="Continue an interrupted run.")] = False,
    device: Annotated[str, Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Learn from two signals recorded together, without labels."""
    from bci_m2s.session.terminal.view import make_console

    checked = _checked(config)
    with at_work(LOADING):
        from bci_m2s.training.run.pretraining import run_pretrain

    run_pretrain(checked, run, make_console(), device, resume)


@app.command()
def finetune(
    config: Training,
    run: Run = None,
    out: Annotated[Path | None, Option(help="Model file for live use; with folds, of everybody.")] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace an existing model file.")] = False,
    device: Annotated[str, Option(help="Of pre-training on everybody: auto, cpu, cuda:N.")] = "auto",
) -> None:
    """Train classifiers on the labels of one modality; write model files for live use."""
    from bci_m2s.session.terminal.view import make_console
    from bci_m2s.training.check.training_file import check_live_use

    if out is not None and out.exists() and not overwrite:
        raise OutputError(f"{out}: exists; nothing is overwritten without --overwrite")
    if out is not None:
        check_target(out, overwrite=overwrite)
    checked = _checked(config)
    check_live_use(checked, out)
    with at_work(LOADING):
        from bci_m2s.training.run.finetuning import run_finetune

    run_finetune(checked, run, make_console(), out, overwrite, device)


@app.command()
def evaluate(
    config: Annotated[
        Path, Argument(metavar="CONFIG.yaml", help="Training file; or, with --on, a model file.")
    ],
    run: Run = None,
    model: Annotated[Path | None, Option(help="Evaluate this model file on people new to it.")] = None,
    data: Annotated[Path | None, Option(help="With --model: another folder of data.")] = None,
    format: Annotated[str, Option(help="Of --data, if it is not the training file's.")] = "",
    on: Annotated[
        Path | None,
        Option(metavar="OTHER.yaml", help="Test on all people of another training file's data."),
    ] = None,
    beside: Annotated[
        list[Path] | None,
        Option(
            metavar="RUN", help="Compare with an evaluated run of the same people and splits; repeatable."
        ),
    ] = None,
) -> None:
    """Test every direction and the controls on trials kept out of training; or one ready model."""
    from bci_m2s.session.terminal.view import make_console

    if on is not None and (model is not None or data is not None):
        raise UsageError(
            "--on: got --model or --data too, expected bci-m2s evaluate MODEL.safetensors --on FILE"
        )
    if on is not None and config.suffix == ".safetensors":
        if beside:
            raise UsageError("--beside: got a model file, expected a training file")
        with at_work(f"looking at {config} and {on}"):
            from bci_m2s.training.check.ready_model import check_model_on

            ready = check_model_on(config, on)
        with at_work(LOADING):
            from bci_m2s.training.run.judging import run_judging

        run_judging(ready, run, make_console())
        return
    if model is not None and beside:
        raise UsageError("--beside: got --model too, expected a run of the training file")
    if model is not None:
        with at_work(f"looking at {config}, {model} and the data"):
            from bci_m2s.training.check.ready_model import check_ready_model

            ready = check_ready_model(config, model, data, format)
        with at_work(LOADING):
            from bci_m2s.training.run.judging import run_judging

        run_judging(ready, run, make_console())
        return
    if data is not None or format:
        raise UsageError("--data and --format: got no --model, expected the model file to evaluate on them")
    checked = _checked(config)
    second = None
    if on is not None:
        from bci_m2s.training.check.second_set import check_on

        second = check_on(checked, on)
    with at_work(LOADING):
        from bci_m2s.training.run.evaluating import run_evaluate

    run_evaluate(checked, run, make_console(), beside or (), second)


@app.command()
def calibrate(
    sessions: Annotated[
        list[Path],
        Argument(metavar="SESSION…", help="Folders of sessions of one participant, or recordings."),
    ],
    base: Annotated[
        str | None, Option(metavar="MODEL", help="Model file or name; default: the first session's.")
    ] = None,
    output: Annotated[Path, Option(help="Model file to write.")] = Path("me.safetensors"),
    head: Annotated[str, Option(help="Which answer the labels are for; default: the model's first.")] = "",
) -> None:
    """A participant's own model from their labelled trials, where it is better; status 1 where not."""
    from bci_m2s.session.terminal.view import make_console

    if output.exists():
        raise OutputError(f"{output}: exists; nothing is overwritten: choose another --output")
    if output.suffix != ".safetensors":
        raise UsageError(f"--output: got {output}, expected a name that ends in .safetensors")
    check_target(output)
    with at_work("looking at the sessions"):
        from bci_m2s.commands.calibrate import base_of, run_of
        from bci_m2s.review.labelled import takes_of_session

        recordings = [recording for session in sessions for recording in takes_of_session(session, print)]
        found = base_of(recordings, base)
    with at_work(LOADING):
        from bci_m2s.training.calibration.command import run_calibration

    runs = [run_of(recording, found) for recording in recordings]
    if not run_calibration(runs, found, output, head, make_console()).is_written:
        raise typer.Exit(1)


@app.command("import-released")
def import_released(
    file: Annotated[Path, Argument(metavar="FILE.pt", help="Pre-trained or fine-tuned checkpoint.")],
    out: Annotated[Path, Option(help="Model file to write.")],
    dataset: Annotated[str, Option(help="seed, seed-iv or seed-v; default: by the shapes.")] = "",
    scaler: Annotated[Path | None, Option(help=".npz with eeg_mean, eeg_std, eye_mean, eye_std.")] = None,
    layout: Annotated[
        str, Option(help="band-major or channel-major EEG features; default: the data set's.")
    ] = "",
    overwrite: Annotated[bool, Option("--overwrite", help="Replace an existing model file.")] = False,
) -> None:
    """Turn a checkpoint of the M2S authors' released code into a model file."""
    from bci_m2s.training.released.released import describe_import
    from bci_m2s.training.released.released import import_released as import_file

    made = import_file(file, out, dataset=dataset, scaler=scaler, layout=layout, overwrite=overwrite)
    for line in describe_import(made, out):
        print(line)


@datasets.command("check")
def dataset_check(
    root: Annotated[Path, Argument(metavar="ROOT", help="Folder of your own copy.")],
    format: Annotated[
        str, Option(help="A data set's name (eegmat, stress-predict, seed-iv …), or recordings.")
    ],
    feature: Annotated[str, Option(help="One of its features, or raw; default: the usual one.")] = "",
) -> None:
    """Report what a copy of a data set holds, lacks and has malformed; status 1 for problems."""
    from bci_m2s.training.dataset_check import print_dataset_check

    if not print_dataset_check(root, format, feature):
        raise typer.Exit(1)
