import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image

from shredfinder import ShredTable
from shredfinder.cli import main
from shredfinder.datasets import example_candidates, example_cutouts
from tests.conftest import make_images, need_format, needs, needs_backend


def classify(catalogue, output, *options):
    where = ["--cutouts", str(catalogue.parent), "-o", str(output)]
    return main(["classify", str(catalogue), *where, *options])


@pytest.mark.parametrize("suffix", [".ecsv", ".fits", ".vot", ".csv", ".parquet", ".hdf5"])
def test_classify_keeps_every_row_in_any_format(catalogue, tmp_path, suffix, capsys):
    need_format(suffix)
    output = tmp_path / f"scored{suffix}"
    assert classify(catalogue, output) == 0
    scored = Table.read(output)
    assert len(scored) == 7
    p_cnn = np.ma.filled(np.ma.asarray(scored["p_cnn"], dtype=float), np.nan)
    assert np.isfinite(p_cnn).tolist() == [True] + [False] * 6
    assert len(scored[scored["p_cnn"] < 0.5]) + len(scored[scored["p_cnn"] >= 0.5]) == 1
    summary = capsys.readouterr().err
    assert "7 sources, 1 scored" in summary
    assert "6 unscored" in summary
    for reason in ("blank", "wrong size", "corrupted", "not an image", "missing", "oversized"):
        assert f"1 {reason}" in summary
    assert "scoring" not in summary  # no progress bar without a terminal


def test_classify_replaces_a_file_only_with_overwrite(catalogue, tmp_path, capsys):
    output = tmp_path / "scored.ecsv"
    output.write_text("precious")
    assert classify(catalogue, output) == 1
    assert output.read_text() == "precious"
    assert "--overwrite" in capsys.readouterr().err
    assert classify(catalogue, output, "--overwrite") == 0
    assert len(Table.read(output)) == 7


def test_a_prior_and_a_threshold(catalogue, tmp_path, capsys):
    scores = {}
    for prior in ("0.4", "0.05", "estimate"):
        output = tmp_path / f"{prior}.ecsv"
        assert classify(catalogue, output, "--prior", prior, "--p-threshold", "0") == 0
        scores[prior] = Table.read(output)["p_cnn"][0]
    assert scores["0.05"] < scores["0.4"]
    printed = capsys.readouterr().err
    assert "1 shred (100.0%) with p_cnn ≥ 0" in printed
    assert "only 1 scored sources" in printed
    [line] = [line for line in printed.splitlines() if "estimated shred fraction" in line]
    assert re.search(r"estimated shred fraction of \d\.\d{3} ± \d\.\d{3}$", line)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"catalogue": "absent.fits"}, "the catalogue 'absent.fits' does not exist"),
        ({"catalogue": "page.png"}, "'page.png' is an image, not a catalogue"),
        ({"catalogue": "page.xyz"}, "does not recognise its table format"),
        ({"--cutouts": "absent"}, "absent"),
        ({"--pattern": "{name}.png"}, "name"),
        ({"--pattern": "{objID"}, "pattern"),
        ({"--pattern": "../{objID}.png"}, "pattern"),
        ({"--model": "absent.shredmodel"}, "no model file"),
        ({"--model": "good.png"}, "not a model saved by shredfinder"),
        ({"-o": "absent/out.fits"}, "the folder 'absent' does not exist"),
        ({"-o": "folder.png"}, "is a folder"),
        ({"-o": "out.xyz"}, "xyz"),
        ({"--prior": "0"}, "between 0 and 1"),
    ],
)
def test_an_error_is_one_line_and_a_status(catalogue, monkeypatch, capsys, change, message):
    monkeypatch.chdir(catalogue.parent)
    Path("page.xyz").write_bytes(Path("page.png").read_bytes())
    arguments = {"catalogue": "catalogue.ecsv", "--cutouts": ".", "-o": "out.ecsv"} | change
    argv = ["classify", arguments.pop("catalogue")]
    for option, value in arguments.items():
        argv += [option, value]
    assert main(argv) == 1
    error = capsys.readouterr().err
    assert error.startswith("shredfinder: error: ")
    assert error.count("\n") == 1
    assert message in error
    assert "Traceback" not in error
    assert not Path("out.ecsv").exists()
    with pytest.raises(Exception, match=message):
        main([*argv, "--debug"])


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["classify"],
        ["nonsense"],
        ["classify", "a.fits", "-o", "b.fits", "--cutouts", ".", "--p-threshold", "2"],
        ["classify", "a.fits", "-o", "b.fits", "--cutouts", ".", "--prior", "much"],
    ],
)
def test_wrong_arguments_exit_with_2(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    assert "usage: shredfinder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["clasify", "a.fits"], "there is no command 'clasify': did you mean classify?"),
        (["Run"], "there is no command 'Run': did you mean run?"),
        (["--versoin"], "there is no option --versoin: did you mean --version?"),
        (["xyzzy"], "there is no command 'xyzzy' (shredfinder --help"),
        (["pool", "a.fits", "-o", "b", "--hots", "nsa"], "no option --hots: did you mean --hosts?"),
        (["run", "--host", "a", "-o", "b", "--servise=x"], "--servise: did you mean --service?"),
        (["fetch", "a.fits", "-o", "b", "--unheard-of"], "no option --unheard-of ("),
        (
            ["run", "-o", "b", "--host", "NGC", "2903"],
            "'2903' is one argument too many: put quotes",
        ),
        (["label", "a.fits"], "missing: --cutouts, -o/--output"),
    ],
)
def test_a_typing_error_gives_one_line_of_usage_and_advice(argv, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    usage, error = capsys.readouterr().err.splitlines()
    assert usage.startswith("usage: shredfinder")
    assert usage.endswith("[options]")
    assert message in error
    # The advice names the command, as it has to be typed.
    name = (
        f"shredfinder {argv[0]}" if argv[0] in ("pool", "run", "fetch", "label") else "shredfinder"
    )
    assert f"({name} --help lists the options)" in error


@pytest.mark.parametrize("command", ["classify", "train", "evaluate", "demo"])
def test_help_has_examples(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert f"  shredfinder {command} " in capsys.readouterr().out


def run_python(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False
    )  # fmt: skip


def test_version():
    import shredfinder

    done = run_python("-m", "shredfinder", "--version")
    assert (done.returncode, done.stdout) == (0, f"shredfinder {shredfinder.__version__}\n")


@pytest.mark.parametrize("argv", [["--version"], ["--help"], ["classify", "--help"], []])
def test_what_needs_no_work_imports_nothing_heavy(argv):
    code = (
        "import sys\n"
        "from shredfinder.cli import main\n"
        "try:\n"
        f"    main({argv})\n"
        "finally:\n"
        "    heavy = {'numpy', 'astropy', 'matplotlib', 'keras'} & set(sys.modules)\n"
        "    print('heavy:', heavy, file=sys.stderr)\n"
    )
    assert "heavy: set()" in run_python("-c", code).stderr


def test_without_a_command_all_are_listed(capsys):
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    for command in (
        "run", "classify", "fetch", "fractions", "pool", "label", "demo", "train", "evaluate"
    ):  # fmt: skip
        [line] = [line for line in lines if line.startswith(f"    {command} ")]
        assert len(line.split()) > 4


class TestMessages:
    """Errors and warnings are in the words of the shell."""

    @pytest.fixture
    def fail(self, catalogue, tmp_path, monkeypatch, capsys):
        def run_failing(error, *options):
            def classify_catalogue(*args, **kwargs):
                raise error

            monkeypatch.setattr("shredfinder.bulk.classify_catalogue", classify_catalogue)
            assert classify(catalogue, tmp_path / "out.ecsv", *options) == 1
            return capsys.readouterr().err.removeprefix("shredfinder: error: ").rstrip("\n")

        return run_failing

    @pytest.mark.parametrize(
        ("message", "shown"),
        [
            ("pass allow_other_colors=True", "pass --allow-other-colors"),
            ("give overwrite=True or cutouts=", "give --overwrite or --cutouts"),
            ("threshold=0.5 is used", "--p-threshold 0.5 is used"),
            ("replace_columns replaces it", "--replace-columns replaces it"),
            ("no columns (table='x' of a server)", "no columns (table='x' of a server)"),
            ("http://a/b?layer=c failed", "http://a/b?layer=c failed"),
            ("the layer of the service", "the layer of the service"),
            ("position=('a', 'b') (--position on the command line) helps", "--position helps"),
            ("two\nlines", "two lines"),
        ],
    )
    def test_arguments_are_options(self, fail, message, shown):
        assert fail(ValueError(message)) == shown

    def test_files_are_named_without_numbers_of_errors(self, fail):
        assert fail(PermissionError(13, "Permission denied", "a.fits")) == (
            "Permission denied: 'a.fits'"
        )

    def test_unexpected_errors_ask_for_a_report(self, catalogue, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr("shredfinder.bulk.classify_catalogue", lambda: None)
        assert classify(catalogue, tmp_path / "out.ecsv") == 1
        error = capsys.readouterr().err
        assert "unexpected problem (TypeError): run the command again with --debug" in error
        assert "lambda" not in error


@pytest.mark.parametrize("survey", ["legacy", "sdss", "ps1"])
def test_surveys_have_short_names(survey, tmp_path, capsys):
    Table({"a": [1]}).write(tmp_path / "t.ecsv")
    assert main(["fractions", str(tmp_path / "t.ecsv"), "--survey", survey]) == 1
    # The survey is known, but a column is missing. The message of the KeyError is not quoted.
    assert capsys.readouterr().err.startswith("shredfinder: error: the table has no column")


def test_an_interrupt_leaves_nothing(catalogue, tmp_path, monkeypatch, capsys):
    from shredfinder.models import TrainedModel

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainedModel, "score", interrupt)
    assert classify(catalogue, tmp_path / "out.ecsv") == 130
    assert "nothing was written" in capsys.readouterr().err
    assert not (tmp_path / "out.ecsv").exists()


STUCK = """
import os, signal, sys
from shredfinder.cli import main
from shredfinder.models import TrainedModel

def score(*_):
    os.kill(os.getpid(), signal.SIGTERM)
    while True:
        pass

TrainedModel.score = score
sys.exit(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_a_program_ends_although_its_threads_do_not(catalogue, tmp_path):
    arguments = ["--cutouts", str(catalogue.parent), "-o", str(tmp_path / "out.ecsv")]
    done = run_python("-c", STUCK, "classify", str(catalogue), *arguments)
    assert done.returncode == 143
    assert "interrupted" in done.stderr
    assert not (tmp_path / "out.ecsv").exists()


def test_running_as_a_module():
    done = run_python("-m", "shredfinder", "classify", "a", "-o", "b.csv", "--cutouts", ".")
    assert done.returncode == 1
    assert done.stderr == "shredfinder: error: the catalogue 'a' does not exist\n"


def test_demo_prints_a_table_and_saves_a_picture(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    output = tmp_path / "field.png"
    assert main(["demo", "-o", str(output)]) == 0
    out = capsys.readouterr().out
    assert "p_cnn_flag" in out.splitlines()[0]
    assert "true shreds" in out
    with Image.open(output) as picture:
        assert min(picture.size) > 500
    assert [path.name for path in tmp_path.iterdir()] == ["field.png"]


def test_demo_leaves_nothing_unasked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    assert "--save DIR" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_demo_saves_data_for_the_other_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--save", "example"]) == 0
    cutouts = ["--cutouts", "example/cutouts"]
    assert main(["classify", "example/candidates.fits", *cutouts, "-o", "scored.fits"]) == 0
    scored = ShredTable.read("scored.fits")
    expected = example_candidates()
    expected.add_p_cnn(cutouts=example_cutouts())
    np.testing.assert_allclose(scored["p_cnn"], expected["p_cnn"], atol=1e-5)
    local = ["--service", "local", "--base-url", "example/images", "--flux-scale", "1"]
    assert main(["classify", "example/candidates.fits", *local, "-o", "local.fits"]) == 0
    both = np.asarray(ShredTable.read("local.fits")["p_cnn"]) >= 0.5
    # Cutouts from images are resampled, which changes a few scores.
    assert np.mean(both == (np.asarray(scored["p_cnn"]) >= 0.5)) > 0.95
    hosts = ["--hosts", "example/hosts.ecsv"]
    assert main(["merge", "scored.fits", *hosts, "-o", "galaxies.fits"]) == 0
    capsys.readouterr()
    # The folder is not replaced unasked.
    assert main(["demo", "--save", "example"]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main(["demo", "--save", "example", "--overwrite"]) == 0
    assert main(["demo", "--save", "scored.fits"]) == 1
    assert "is a file: name a folder" in capsys.readouterr().err


@needs_backend
class TestTraining:
    @pytest.fixture
    def labels(self, tmp_path):
        images, y = make_images(24, size=128)
        for i, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / f"{i}.png")
        table = Table({"objID": np.arange(24), "label": np.where(y, "shred", "galaxy")})
        table["group"] = np.arange(24) // 2
        table["label"][3] = "other"
        table.write(tmp_path / "labels.ecsv")
        return tmp_path / "labels.ecsv"

    @pytest.fixture
    def _quick(self, monkeypatch):
        """Replace the compact network by one that compiles fast, and resample less often."""
        from shredfinder import evaluation
        from shredfinder.models import ARCHITECTURES

        def build(input_shape):
            from keras import Model, layers

            inputs = layers.Input(input_shape, name="images")
            x = layers.Conv2D(4, 8, strides=8, activation="relu")(inputs)
            x = layers.GlobalAveragePooling2D()(x)
            outputs = layers.Dense(2, activation="softmax", name="probabilities")(x)
            return Model(inputs, outputs, name="compact")

        monkeypatch.setitem(ARCHITECTURES, "compact", build)
        resample = partial(evaluation.bootstrap_metrics, n_resamples=50)
        monkeypatch.setattr(evaluation, "bootstrap_metrics", resample)

    @pytest.mark.usefixtures("_quick")
    def test_train_then_evaluate(self, labels, tmp_path, capsys):
        model, scores = tmp_path / "mine.shredmodel", tmp_path / "scores.ecsv"
        where = [str(labels), "--cutouts", str(tmp_path)]
        assert main(["train", *where, "-o", str(model), "--epochs", "1", "--name", "mine"]) == 0
        error = capsys.readouterr().err
        assert "1 of 24 sources are labelled neither" in error
        assert "on 23 sources for 1 epoch:" in error
        assert "the model was not validated: cross-validate the recipe" in error
        assert f"then shredfinder classify CATALOGUE --model {model}" in error
        assert main(["evaluate", *where, "--model", str(model), "-o", str(scores)]) == 0
        out, error = capsys.readouterr()
        assert "23 labelled sources, 0 of them unscored" in out
        assert "23 sources of 24 were used to train the model" in error
        for name in ("auc", "accuracy", "calibration error", "purity at 5 % shreds"):
            assert name in out
        assert np.isfinite(Table.read(scores)["p_cnn"]).all()

    @pytest.mark.usefixtures("_quick")
    def test_validation(self, labels, tmp_path, capsys):
        argv = [
            "train",
            str(labels),
            "--cutouts",
            str(tmp_path),
            "-o",
            str(tmp_path / "m.shredmodel"),
        ]
        assert main([*argv, "--epochs", "1", "--validation", "0.25"]) == 0
        assert "validation set (epoch 1): accuracy 0." in capsys.readouterr().err

    @pytest.mark.slow
    def test_fine_tuning_the_embedded_model(self, labels, tmp_path, capsys):
        from shredfinder import ShredClassifier

        model = tmp_path / "tuned.shredmodel"
        argv = ["train", str(labels), "--cutouts", str(tmp_path), "-o", str(model)]
        assert main([*argv, "--start", "embedded", "--survey", "sdss-dr17", "--epochs", "1"]) == 0
        description = ShredClassifier.load(model).model_.description
        assert (description.bands, description.color_mapping) == (["i", "r", "g"], "sdss-gri")
        start = description.training["started_from"]
        assert start["model"] == ShredClassifier.load().model_.description.name
        assert main([*argv, "--overwrite", "--start", str(tmp_path / "none")]) == 1
        assert "none" in capsys.readouterr().err

    @pytest.mark.usefixtures("_quick")
    def test_cross_validation(self, labels, tmp_path, capsys):
        scores = tmp_path / "scores.ecsv"
        argv = ["evaluate", str(labels), "--cutouts", str(tmp_path), "--groups", "group"]
        argv += ["--cross-validate", "2", "--epochs", "1", "-o", str(scores)]
        assert main(argv) == 0
        table = Table.read(scores)
        assert sorted(set(table["fold"])) == [-1, 0, 1]
        assert np.isfinite(table["p_cnn"]).sum() == 23

    def test_a_missing_column_is_named(self, labels, tmp_path, capsys):
        argv = ["train", str(labels), "--cutouts", str(tmp_path), "-o", str(tmp_path / "m")]
        assert main([*argv, "--label", "class"]) == 1
        assert "no column 'class': choose one of objID, label, group" in capsys.readouterr().err


@needs("sklearn")
def test_the_main_job_on_real_cutouts(data_folder, tmp_path, capsys):
    from shredfinder.evaluation import compute_metrics
    from shredfinder.training import encode_labels

    labels = Table.read(data_folder / "labels.ecsv")[::16]
    labels.write(tmp_path / "labels.fits")
    argv = ["classify", str(tmp_path / "labels.fits"), "--cutouts", str(data_folder / "cutouts")]
    assert main([*argv, "-o", str(tmp_path / "scored.fits")]) == 0
    scored = Table.read(tmp_path / "scored.fits")
    assert scored["objID"].tolist() == labels["objID"].tolist()
    truth = encode_labels(labels["consensus"])
    known = np.isfinite(truth)
    metrics = compute_metrics(truth[known], np.asarray(scored["p_cnn"])[known])
    # The model was trained on these sources: this only detects a broken model.
    assert metrics["auc"] > 0.98
    assert metrics["accuracy"] > 0.95
