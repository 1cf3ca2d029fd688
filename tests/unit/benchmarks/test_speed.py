"""The benchmarks of speed: what the timer counts, what the table writer touches, and what rows say."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from dry_runs import jobs
from hypothesis import given
from hypothesis import settings as of_property
from hypothesis import strategies as st

from genet5.errors import InputError
from genet5.writer.config import GeneT5Config
from genet5.writer.cost import flops_per_token

BURN = "import time\nend = time.process_time() + {seconds}\nwhile time.process_time() < end: pass\n"
PARENT = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}], check=True)\n"


@pytest.fixture
def speed_rows():
    return importlib.import_module("speed_rows")


@pytest.fixture
def speed_table():
    return importlib.import_module("speed_table")


@pytest.fixture
def run():
    return importlib.import_module("run")


@pytest.fixture
def settings(speed_rows, tmp_path):
    return speed_rows.SpeedSettings(True, None, tmp_path / "nothing", 3, tmp_path)


# ---------------------------------------------------------------- the timer


def test_a_command_is_charged_for_its_children(speed_rows):
    used = speed_rows.measure_command([sys.executable, "-c", PARENT.format(child=BURN.format(seconds=0.3))])
    assert used.cpu_s >= 0.3
    assert used.wall_s > 0


def test_a_call_is_charged_for_its_children_and_for_itself(speed_rows):
    def work() -> None:
        subprocess.run([sys.executable, "-c", BURN.format(seconds=0.3)], check=True)
        exec(BURN.format(seconds=0.2), {})

    assert speed_rows.measure_call(work).cpu_s >= 0.5


def test_sleep_costs_time_on_the_clock_alone(speed_rows):
    used = speed_rows.measure_command(["sleep", "0.3"])
    assert used.wall_s >= 0.3 > used.cpu_s


def test_the_peak_is_that_of_the_command_not_of_this_process(speed_rows):
    held = bytearray(300_000_000)  # this process is larger than the command
    small = speed_rows.measure_command(["sleep", "0"])
    large = speed_rows.measure_command([sys.executable, "-c", "b'x' * 200_000_000"])
    assert len(held) / 1e6 > small.peak_mb
    assert small.peak_mb < 50
    assert 200 < large.peak_mb < 300


def test_a_failing_command_is_named_with_its_last_words(speed_rows):
    with pytest.raises(InputError, match="exit status 3: no model"):
        speed_rows.measure_command(
            [sys.executable, "-c", "import sys; print('no model', file=sys.stderr); sys.exit(3)"]
        )
    with pytest.raises(InputError, match="exit status 127: no-such-program: No such file"):
        speed_rows.measure_command(["no-such-program"])


def test_a_command_gets_its_folder_environment_and_output(speed_rows, tmp_path):
    code = "import os; print(os.getcwd(), os.environ['OMP_NUM_THREADS'], 'HOME' in os.environ)"
    shown = tmp_path / "out.txt"
    speed_rows.measure_command(
        [sys.executable, "-c", code], cwd=tmp_path, environment={"OMP_NUM_THREADS": "1"}, output=shown
    )
    assert shown.read_text() == f"{tmp_path} 1 True\n"


def test_sides_alternate_and_a_warm_up_is_not_counted(speed_rows):
    order = []

    def side(name: str, seconds: float):
        def one():
            order.append(name)
            return speed_rows.Usage(0.0, seconds * len(order))

        return one

    found = speed_rows.alternate({"ours": side("ours", 1), "peer": side("peer", 10)}, 3, ["ours"])
    assert order == ["ours", "ours", "peer", "ours", "peer", "ours", "peer"]
    assert [run.cpu_s for run in found["ours"]] == [2, 4, 6]
    assert [run.cpu_s for run in found["peer"]] == [30, 50, 70]


def test_the_median_is_of_each_number(speed_rows):
    runs = [speed_rows.Usage(1, 30, None), speed_rows.Usage(2, 10, 5), speed_rows.Usage(9, 20, 7)]
    assert speed_rows.median_usage(runs) == speed_rows.Usage(2, 20, 6)
    assert speed_rows.median_usage(runs[:1]).peak_mb is None


# ---------------------------------------------------------------- rows and table


def test_a_ratio_over_one_is_better_for_rates_and_for_costs(speed_rows):
    rate = speed_rows.rate_row("reading", "kb per s", 100.0, 50.0, 25.0)
    cost = speed_rows.cost_row("memory", "MB", 100.0, 50.0, 25.0)
    assert (rate.ratio, rate.base_ratio) == (2, 4)
    assert (cost.ratio, cost.base_ratio) == (0.5, 0.25)
    assert speed_rows.rate_row("reading", "kb per s", 100.0).ratio is None


def test_a_missing_peer_has_a_row_with_the_command_that_brings_it(speed_rows, speed_table):
    row = speed_rows.missing_peer_row("P. falciparum", "kb per CPU s", "SNAP", "apt-get install snap")
    assert (row.ours, row.peer, row.ratio) == (None, None, None)
    *_, line = speed_table.speed_table({"annotate": [row]}).splitlines()
    assert [cell.strip() for cell in line.split("|")[1:-1]] == [
        "annotate", "P. falciparum", "kb per CPU s", "", "SNAP", "", "", "", "", "", "",
        "not installed (apt-get install snap)",
    ]  # fmt: skip


def test_peers_that_are_not_on_the_path_are_rows(monkeypatch, settings):
    speed = importlib.import_module("annotation_speed")
    monkeypatch.setattr(speed, "on_path", lambda program: False)
    monkeypatch.setattr(speed, "_annotate", lambda *_, **__: speed.Usage(2.0, 4.0, 700.0))
    fasta = settings.work / "x.fa"
    speed.write_random_dna(fasta, 60_000)
    dna = speed.Dna("S.pombe", "fungi", ("I",), None, "schizosaccharomyces_pombe")
    rows = list(speed._beside_peers("yeast", fasta, "fungi", (), speed._peers(dna, settings.work), settings))
    assert rows[0].ours == pytest.approx(60 / 4.0) and rows[0].ratio is None
    assert [(row.peer_name, row.ours) for row in rows[1:]] == [("AUGUSTUS", None), ("SNAP", None), ("geneML", None)]
    assert all(row.note.startswith("not installed (") for row in rows[1:])
    (row,) = speed.accuracy_rows(settings)
    assert row.note == "not installed (apt-get install augustus augustus-data)"


def test_rows_of_a_table_have_as_many_cells_as_its_head(speed_rows, speed_table):
    row = speed_rows.SpeedRow("a|b\nc", "s", 1234.5, 0.5, 2.0, "peer", note="x", usage=speed_rows.Usage(1, 2, 3))
    head, rule, line = speed_table.speed_table({"subject": [row]}).splitlines()
    assert head.count("|") == rule.count("|") == line.replace("\\|", "").count("|")
    assert "a\\|b c" in line and "| 1,234 | peer | .500 | 2 |" in line and "2 CPU s, 1 s, 3 MB" in line


def test_the_shown_command_names_no_place_of_this_machine(speed_table):
    words = ["--base", "/home/someone/old checkout", "--only", "annotate", "--rounds", "3"]
    shown = speed_table.shown_command("benchmarks/run.py", words)
    assert shown == "python benchmarks/run.py --base 'old checkout' --only annotate --rounds 3"


@of_property(deadline=None)
@given(before=st.binary(), after=st.binary(), old=st.binary())
def test_the_table_writer_keeps_every_byte_outside_of_the_markers(before, after, old, tmp_path_factory):
    table = importlib.import_module("speed_table")
    begin, end = table.BEGIN.encode(), table.END.encode()
    path = tmp_path_factory.mktemp("table") / "results.md"
    path.write_bytes(before + begin + old + end + after)
    table.replace_between_markers(path, "| new |\n")
    written = path.read_bytes()
    assert written == before + begin + b"\n| new |\n" + end + after
    table.replace_between_markers(path, "| new |\n")
    assert path.read_bytes() == written


@pytest.mark.parametrize("content", ["", "{0}", "{1}", "{1} {0}", "{0} {0} {1}", "{0} {1} {1}"])
def test_a_file_without_both_markers_once_is_left_alone(speed_table, tmp_path, content):
    path = tmp_path / "results.md"
    path.write_text(content.format(speed_table.BEGIN, speed_table.END))
    before = path.read_bytes()
    with pytest.raises(InputError, match="expected one line"):
        speed_table.replace_between_markers(path, "new")
    assert path.read_bytes() == before


def test_the_results_have_the_markers(speed_table):
    head, tail = speed_table.split_file(Path(__file__).resolve().parents[3] / "docs/results.md")
    assert b"\n## Speed\n" in head and tail.count(b"\n") > 1


# ---------------------------------------------------------------- subjects


def test_what_keeps_a_subject_from_being_measured_is_a_row(run, settings, monkeypatch):
    def notes(subject) -> list[str]:
        return [row.note for row in run.rows_of("x", subject, settings)]

    assert notes(run.Subject("no_such_speed")) == ["not measured: there is no benchmarks/no_such_speed.py"]
    assert notes(run.Subject("speed_table", "nothing")) == [
        "not measured: benchmarks/speed_table.py has no function nothing"
    ]
    (note,) = notes(run.Subject("annotation_speed"))
    assert note.startswith(f"not measured: {settings.data / 'P.falciparum/fna.gz'}: no such file")
    first = run.SpeedRow("first", "s", 1.0)

    def broken(_settings):
        yield first
        raise ZeroDivisionError("two")

    monkeypatch.setattr(run.importlib, "import_module", lambda _: SimpleNamespace(speed_rows=broken))
    assert run.rows_of("x", run.Subject("speed_table"), settings)[0] == first
    assert notes(run.Subject("speed_table"))[1] == "not measured: ZeroDivisionError: two"


def test_subjects_with_a_script_have_its_function(run):
    folder = Path(run.__file__).parent
    there = [subject for subject in run.SUBJECTS.values() if (folder / f"{subject.module}.py").is_file()]
    assert len(there) >= 7
    assert all(one.adapt or callable(getattr(importlib.import_module(one.module), one.function)) for one in there)


def test_rows_of_other_tables_get_ratios_of_which_more_is_better(run, settings, monkeypatch):
    def rows(share: float, repeats: int) -> list[tuple]:
        assert (share, repeats) == (0.02, 1)
        return [
            ("score, 62 Mb, gt eval", "Mb/cpu-s", 30.0, 10.0, 3.0),
            ("score, 62 Mb: memory, gt eval", "MB", 100.0, 400.0, 0.25),
            ("score, 62 Mb", "cpu-s", 7.0, None, None),
        ]

    script = SimpleNamespace(rows=rows, measure=lambda base, windows, rounds: [("SFT", "windows / CPU s", 6.0, 3.0, 2)])
    monkeypatch.setattr(run.importlib, "import_module", lambda _: script)
    speed, memory, alone = run.rows_of("x", run.SUBJECTS["score"]._replace(module="speed_table"), settings)
    assert (speed.what, speed.peer_name, speed.ratio) == ("score, 62 Mb", "gt eval", 3)
    assert (memory.peer_name, memory.ratio) == ("gt eval", 4)
    assert (alone.what, alone.peer_name, alone.ratio) == ("score, 62 Mb", "", None)
    (learnt,) = run.rows_of("x", run.SUBJECTS["writer"]._replace(module="speed_table"), settings)
    assert (learnt.ours, learnt.base, learnt.base_ratio, learnt.ratio) == (6, 3, 2, None)


def test_a_contig_that_does_not_fit_in_memory_is_foreseen():
    speed = importlib.import_module("annotation_speed")
    assert speed.expected_peak({1: 800.0}, 50) == 0
    assert speed.expected_peak({1: 800.0, 5: 1400.0}, 50) == pytest.approx(1400 + 150 * 45)
    assert speed.expected_peak({1: 0.0, 5: 1400.0, 50: 1850.0}, 250) == pytest.approx(1850 + 10 * 200)


def test_training_steps_are_taken_with_the_library_of_the_checkout_alone(tmp_path):
    steps = Path(importlib.import_module("crf_training_speed").STEPS_SCRIPT)
    elsewhere = tmp_path / "checkout/scripts/genet5"
    elsewhere.mkdir(parents=True)
    (elsewhere / "__init__.py").touch()
    command = [sys.executable, steps, "manifest.json", "--library", tmp_path / "checkout"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and str(elsewhere / "__init__.py") in done.stderr  # that library is empty
    (elsewhere / "__init__.py").unlink()
    elsewhere.rmdir()
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and ("error: genet5 was found in" in done.stderr or "No module named" in done.stderr)


def test_random_dna_is_one_contig_of_full_lines(tmp_path):
    speed = importlib.import_module("annotation_speed")
    speed.write_random_dna(tmp_path / "x.fa", 100)
    head, *lines, last = (tmp_path / "x.fa").read_text().split("\n")
    assert head == ">random" and last == ""
    assert [len(line) for line in lines] == [60, 60] and set("".join(lines)) == set("ACGT")


def test_a_dry_run_plans_all_stages_of_its_species(settings):
    dry_run = importlib.import_module("dry_run_speed")
    dry_run.make_workspace(Path(dry_run.REPOSITORY), settings.work / "plan", 5)
    assert dry_run.dry_run(settings.work / "plan").cpu_s > 0
    planned = jobs((settings.work / "plan/plan.txt").read_text())
    assert planned["bake_shards"] == 5 and planned["train_grpo"] == 1 and planned["score"] == 3


# ---------------------------------------------------------------- MFU


def test_mfu_of_a_network_counted_by_hand():
    gpu = importlib.import_module("gpu")
    config = GeneT5Config(
        hidden_size=64, num_layers=2, num_heads=4, num_kv_heads=2, feed_forward_size=128, num_experts=0,
        dna_window_size=0,
    )  # fmt: skip
    attention = 64 * 64 + 64 * 64 + 2 * (64 * 32)  # queries, output, keys and values of two heads of 16
    feed_forward = 3 * 64 * 128  # gate, up, down
    weights = 2 * (attention + feed_forward)
    assert weights == 73_728
    per_token = 3 * (2 * weights + 4 * 64 * (100 + 100))  # rows of 100 tokens, each seen in both layers
    assert flops_per_token(config, 100) == per_token == 595_968
    assert gpu.mfu(1000.0, per_token, 1e12) == pytest.approx(5.95968e-4)
    assert gpu.mfu(2000.0, per_token, 1e12) == pytest.approx(2 * gpu.mfu(1000.0, per_token, 1e12))


@pytest.mark.parametrize("tokens", [256, 4096])
def test_windows_of_fine_tuning_have_about_the_tokens_asked_for(tokens):
    gpu = importlib.import_module("gpu")
    _, batch = gpu.sft_batch(gpu.Sizes("demo", tokens, 2, 1, 256, "demo", None))
    lengths = batch.prompts.prompt_lengths + batch.sequences.lengths
    assert len(lengths) == 2
    assert all(0.93 * tokens < int(length) < 1.07 * tokens for length in lengths)
