from datetime import UTC, datetime
from pathlib import Path

import pytest

from autoops.errors import NotPublished
from autoops.ingestion.source import DirectorySource
from autoops.months import Month
from autoops.replay.pace import Pace
from autoops.replay.player import PlayOptions
from autoops.replay.playing import Board, Playing
from autoops.replay.tally import Answer
from tests.taxi import CONTRACT
from tests.unit.replay.worlds import write_month

APRIL, MAY = Month(2023, 4), Month(2023, 5)
NOW = datetime(2023, 4, 5, tzinfo=UTC)
NOBODY = "http://127.0.0.1:9"


def test_the_board_shows_how_far_the_month_is_and_how_each_version_does():
    board = Board(CONTRACT)
    board.month_began(APRIL, 50)
    for prediction, version in ((12, 1), (9, 1), (10.5, 2)):
        board.answered(APRIL, Answer(NOW, prediction, 10, version, NOW))
    assert (board.month, board.answers, board.trips) == (APRIL, 3, 50)
    assert board.outcome(APRIL) == (
        "version 1 answered 2 trips, MAE 1.500 min; version 2 answered 1 trips, MAE 0.500 min"
    )
    board.month_began(MAY, 60)
    assert (board.answers, board.outcome(MAY)) == (0, "")


def playing(directory: Path, pace: Pace, months: list[Month]) -> Playing:
    options = PlayOptions(DirectorySource(directory), months, NOBODY, CONTRACT)
    return Playing(options, pace, [])


def test_a_replay_that_is_over_hands_out_what_it_played(tmp_path):
    write_month(tmp_path, APRIL)
    with playing(tmp_path, Pace(), [APRIL]) as under_way:
        played = under_way.result()
        assert not under_way.under_way
    assert played.requests == played.failed == 60


def test_leaving_the_block_ends_a_replay_that_would_take_hours(tmp_path):
    write_month(tmp_path, APRIL)
    with playing(tmp_path, Pace(rate=0.01), [APRIL]) as under_way:
        assert under_way.under_way
    assert not under_way.under_way
    assert under_way.result().requests <= 2


def test_leaving_the_block_ends_a_replay_that_is_held(tmp_path):
    write_month(tmp_path, APRIL)
    pace = Pace()
    pace.hold()
    with playing(tmp_path, pace, [APRIL]):
        pass


def test_what_ended_the_replay_is_raised_where_its_result_is_asked_for(tmp_path):
    write_month(tmp_path, APRIL)
    with playing(tmp_path, Pace(), [APRIL, MAY]) as under_way, pytest.raises(NotPublished, match="2023-05"):
        under_way.result()
