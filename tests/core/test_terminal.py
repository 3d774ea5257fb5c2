"""What a run shows: a bar, lines, or JSON lines."""

import io
import json
import os
from pathlib import Path

import pytest

from locscale_hybrid.cli.screen import Bar, JsonLines, Lines, duration, screen_for
from locscale_hybrid.cli.words import COMMAND_LINE
from locscale_hybrid.errors import InputError
from locscale_hybrid.findings import Finding
from locscale_hybrid.remedies import give

FINDING = Finding(
    "sharpened-input",
    "warning",
    "B is 11 Å²",
    {"b": 11.0},
    (give("half_maps", "unsharpened maps"),),
)
SUMMARY = [("resolution", "3.0 Å"), ("weight", "adaptive")]
PATHS = {"map": Path("/data/out é.mrc"), "record": Path("/data/out é.json")}


class Pipe:
    """A pipe and the JSON screen that writes into it."""

    def __enter__(self):
        self.reader, self.writer = os.pipe()
        self.errors = io.StringIO()
        return self, JsonLines(self.writer, self.errors)

    def __exit__(self, *details):
        for descriptor in (self.reader, self.writer):
            os.close(descriptor)

    def events(self):
        lines = os.read(self.reader, 1 << 16).decode().splitlines()
        return [json.loads(line) for line in lines]


def test_events_have_the_fields_of_the_protocol():
    with Pipe() as (pipe, screen):
        screen.stage("adp", 5, 8)
        screen.fraction(0.42)
        screen.finding(FINDING)
        screen.result(PATHS, SUMMARY, 12.345)
        assert pipe.events() == [
            {"event": "stage", "name": "adp", "index": 5, "of": 8},
            {"event": "progress", "fraction": 0.42},
            {
                "event": "finding",
                "level": "warning",
                "code": "sharpened-input",
                "message": FINDING.worded(COMMAND_LINE),
                "fact": FINDING.fact,
                "remedies": [{"action": "give", "name": "half_maps", "text": "unsharpened maps"}],
                "values": {"b": 11.0},
            },
            {
                "event": "result",
                "map": "/data/out é.mrc",
                "record": "/data/out é.json",
                "summary": [["resolution", "3.0 Å"], ["weight", "adaptive"]],
                "seconds": 12.3,
            },
        ]


def test_error_is_an_event_and_a_line_on_stderr():
    with Pipe() as (pipe, screen):
        screen.error(InputError("the map is constant", give("full_map", "another map")))
        assert pipe.events() == [
            {
                "event": "error",
                "code": "input",
                "message": "the map is constant. Give another map (-em).",
                "fact": "the map is constant",
                "remedies": [{"action": "give", "name": "full_map", "text": "another map"}],
            }
        ]
        said = "locscale: the map is constant. Give another map (-em).\n"
        assert pipe.errors.getvalue() == said


def test_progress_is_not_repeated_for_nothing():
    with Pipe() as (pipe, screen):
        for step in range(100001):
            screen.fraction(step / 100000)
        events = pipe.events()
        assert 900 < len(events) <= 1001
        assert events[-1]["fraction"] == 1.0


def test_reader_that_went_away_does_not_end_the_run():
    reader, writer = os.pipe()
    screen = JsonLines(writer, io.StringIO())
    os.close(reader)
    screen.stage("adp", 5, 8)
    screen.fraction(0.5)
    os.close(writer)


def test_broken_pipe_of_lines_does_not_end_the_run():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        screen = Lines(stream, io.StringIO())
        screen.message("hello")
        screen.message("again")


def test_lines_show_stages_tenths_and_findings():
    output = io.StringIO()
    screen = Lines(output, io.StringIO())
    screen.stage("mask", 2, 8)
    for step in range(101):
        screen.fraction(step / 100)
    screen.finding(FINDING)
    lines = output.getvalue().splitlines()
    assert lines[0] == "2/8 mask"
    assert [int(line.rstrip(" %")) for line in lines[1:-1]] == list(range(10, 101, 10))
    assert lines[-1] == "warning: B is 11 Å². Give unsharpened maps (-hm)."


def test_result_says_where_everything_is():
    output = io.StringIO()
    Lines(output, io.StringIO()).result(PATHS, SUMMARY, 12.3)
    text = output.getvalue()
    assert "done in 12 s" in text
    assert "resolution  3.0 Å" in text
    assert "/data/out é.json" in text
    assert 'in ChimeraX: open "/data/out é.mrc"' in text


def test_bar_keeps_to_eighty_columns_and_makes_room_for_lines(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    output = io.StringIO()
    screen = Bar(output, io.StringIO())
    screen.stage("pseudo-atoms", 3, 8)
    screen.fraction(0.5)
    screen.stage("adp", 5, 8)
    screen.message("a line")
    screen.close()
    pieces = output.getvalue().split("\r")
    assert max(map(len, pieces)) < 80
    assert "[####" in pieces[2]
    assert "50 %" in pieces[2]
    assert "5/8 adp" in pieces[2]
    assert pieces[-1] == "a line\n"


def test_long_words_of_the_result_are_wrapped_on_a_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    output = io.StringIO()
    screen = Bar(output, io.StringIO())
    screen.result({"map": Path("/data/" + "x" * 90 + ".mrc")}, [("weight", "adaptive " * 12)], 1.0)
    lines = output.getvalue().splitlines()
    assert lines[1:4] == [
        "  weight  adaptive adaptive adaptive adaptive adaptive",
        "          adaptive adaptive adaptive adaptive adaptive",
        "          adaptive adaptive",
    ]
    assert "/data/" + "x" * 90 + ".mrc" in output.getvalue()


@pytest.mark.parametrize("columns", ["10", "40", "80"])
def test_bar_fits_any_terminal(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    output = io.StringIO()
    Bar(output, io.StringIO()).stage("pseudo-atoms", 3, 8)
    assert len(output.getvalue().strip("\r")) < int(columns)


def test_screen_is_a_bar_on_a_terminal_only(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    assert isinstance(screen_for(None, terminal, io.StringIO()), Bar)
    assert not isinstance(screen_for("lines", terminal, io.StringIO()), Bar)
    assert not isinstance(screen_for(None, io.StringIO(), io.StringIO()), Bar)
    monkeypatch.setenv("TERM", "dumb")
    assert not isinstance(screen_for(None, terminal, io.StringIO()), Bar)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.2, "3 s"), (99, "99 s"), (170, "3 min"), (5400, "90 min"), (9000, "2.5 h")],
)
def test_times_in_the_unit_of_people(seconds, text):
    assert duration(seconds) == text
