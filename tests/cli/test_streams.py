"""The program as others start it: pipes that close, Ctrl-C, terminals, and bugs."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

MMDOCTOR = [sys.executable, "-m", "mmdoctor"]
SLOW = '''
import time
from collections.abc import Iterator
from mmdoctor import Problem, Severity, check, provider
from mmdoctor.facts.source import Source
from mmdoctor.progress import Progress

class Slow: ...

@provider
def slow(source: Source, progress: Progress | None = None) -> Slow:
    progress.start("reading very slowly", 8_000_000)
    for _ in range({steps}):
        time.sleep(0.05)
        progress.advance(100_000)
    return Slow()

@check("SLOW001", Severity.NOTE)
def slow_rule(slow: Slow) -> Iterator[Problem]:
    """It is slow."""
    yield from ()
'''


def in_terminal(*arguments: str | Path, environment: dict[str, str] | None = None) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of the program with a terminal of 80 columns on both."""
    import fcntl
    import struct
    import termios

    ends = [pty.openpty() for _ in range(2)]
    for master, _ in ends:
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    clean = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "CI", "COLUMNS"}}
    process = subprocess.Popen(
        [*MMDOCTOR, *map(str, arguments)],
        stdout=ends[0][1],
        stderr=ends[1][1],
        stdin=subprocess.DEVNULL,
        env={**clean, "TERM": "xterm-256color", **(environment or {})},
    )
    for _, slave in ends:
        os.close(slave)
    texts = {master: b"" for master, _ in ends}
    open_ends = set(texts)
    while open_ends:
        for master in select.select(list(open_ends), [], [], 60)[0]:
            try:
                data = os.read(master, 65536)
            except OSError:  # the other end of a terminal is closed
                data = b""
            if not data:
                open_ends.discard(master)
                os.close(master)
            texts[master] += data
    out, err = (text.decode().replace("\r\n", "\n") for text in texts.values())
    return process.wait(60), out, err


def test_a_reader_that_goes_away_is_no_error():
    process = subprocess.Popen([*MMDOCTOR, "rules"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.close()

    _, err = process.communicate(timeout=60)

    assert err == ""
    assert process.returncode == 0


def test_the_exit_code_does_not_depend_on_the_reader(small_model: Path, tmp_path: Path):
    rule = tmp_path / "loud.py"
    rule.write_text(
        "from mmdoctor import Evidence, Problem, Severity, check\nfrom mmdoctor.facts.source import Source\n"
        "from collections.abc import Iterator\n"
        '@check("LOUD001", Severity.ERROR)\ndef loud(source: Source) -> Iterator[Problem]:\n    """It is loud."""\n'
        "    for n in range(5000):\n        yield Problem('loud ' * 20, [Evidence('n', n)])\n"
    )
    command = [*MMDOCTOR, "check", small_model, "--load", rule, "--select", "LOUD001", "--depth", "headers"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()

    _, err = process.communicate(timeout=60)

    assert (process.returncode, err) == (1, "")


def test_ctrl_c_is_quiet_and_130(small_model: Path, tmp_path: Path):
    rule = tmp_path / "slow.py"
    rule.write_text(SLOW.format(steps=2000).replace("progress.start", "print('READY', flush=True); progress.start"))
    command = [*MMDOCTOR, "check", small_model, "--load", rule, "--select", "SLOW001"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "READY\n"
    process.send_signal(signal.SIGINT)

    out, err = process.communicate(timeout=60)

    assert (process.returncode, out, err) == (130, "", "")


def test_a_bug_keeps_its_traceback_and_is_2():
    program = (
        "import sys, mmdoctor.cli.check as c\nimport mmdoctor.plugins as p\np.load_rules = lambda *a, **k: 1 // 0\n"
    )
    program += "sys.argv = ['mmdoctor', 'rules']\nfrom mmdoctor.cli import main\nmain()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert "please report it" in done.stderr


def test_a_slow_run_shows_bytes_and_rate_on_stderr_and_wipes_them(small_model: Path, tmp_path: Path):
    rule = tmp_path / "slow.py"
    rule.write_text(SLOW.format(steps=40))

    code, out, err = in_terminal("check", small_model, "--load", rule, "--select", "SLOW001")

    assert code == 0
    assert "PASS" in out
    assert "reading very slowly" in err
    assert re.search(r"[\d.]+/8\.0.*MB", err.replace("\x1b", "")) or re.search(r"MiB|MB|kB", err)
    assert "B/s" in err
    assert "reading very slowly" not in out


def test_a_quick_run_shows_nothing_on_stderr(small_model: Path):
    _, _, err = in_terminal("check", small_model, "--depth", "headers")

    assert err == ""


@pytest.mark.parametrize("environment", [{"CI": "true"}, {"TERM": "dumb"}])
def test_no_bar_where_nobody_watches(small_model: Path, tmp_path: Path, environment: dict[str, str]):
    rule = tmp_path / "slow.py"
    rule.write_text(SLOW.format(steps=25))

    _, _, err = in_terminal("check", small_model, "--load", rule, "--select", "SLOW001", environment=environment)

    assert err == ""


@pytest.mark.parametrize(
    ("environment", "colored"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"CI": "true"}, False), ({"TERM": "dumb"}, False)],
)
def test_colours_in_a_terminal(small_model: Path, environment: dict[str, str], colored: bool):
    _, out, _ = in_terminal("check", small_model, "--depth", "headers", environment=environment)

    assert ("\x1b[" in out) == colored
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in out.splitlines()) <= 80


def test_explain_is_rendered_in_a_terminal():
    _, out, _ = in_terminal("explain", "INT001")

    assert "\x1b[" in out
    assert "## " not in out


def test_an_encoding_without_the_character_is_no_crash(small_model: Path, tmp_path: Path):
    model = small_model.rename(tmp_path / "模型-é")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}

    done = subprocess.run(
        [*MMDOCTOR, "check", model, "--depth", "headers", "--fail-on", "never"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )

    assert done.returncode == 0, done.stderr
    assert "\\u6a21" in done.stdout
