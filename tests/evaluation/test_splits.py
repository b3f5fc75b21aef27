import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shoploom.core.errors import ConfigError, DataError, LeakageError
from shoploom.core.time import DAY_US, HOUR_US, MINUTE_US, to_us
from shoploom.evaluation import TimeSplit, check_split, time_split


def days(*moments):
    return tuple(moment // DAY_US for moment in moments)


def test_the_test_window_is_the_last_whole_one():
    last = 100 * DAY_US + 9 * HOUR_US
    split = time_split(0, last, window_days=7, n_train=3, step_days=5)
    assert days(split.test, split.valid) == (93, 86)
    assert days(*split.train) == (69, 74, 79)
    assert split.data_end == last + 1


def test_a_last_event_in_the_final_hour_makes_the_day_whole():
    split = time_split(0, 100 * DAY_US - 10 * MINUTE_US, window_days=7)
    assert split.data_end == 100 * DAY_US
    assert split.test == 93 * DAY_US


def test_training_moments_stop_where_no_history_is_left():
    split = time_split(0, 40 * DAY_US, window_days=7, n_train=50, history_days=6)
    assert days(*split.train) == (12, 19)
    longer = time_split(0, 40 * DAY_US, window_days=7, n_train=50, step_days=1, history_days=6)
    assert days(*longer.train) == tuple(range(6, 20))


def test_given_moments_are_kept():
    at = {"test": to_us("2024-03-01"), "valid": to_us("2024-02-01")}
    split = time_split(to_us("2023-06-01"), to_us("2024-06-01"), window_days=14, n_train=1, **at)
    assert (split.test, split.valid) == (at["test"], at["valid"])
    assert split.as_dict() == {
        "train": ["2024-01-18"],
        "valid": "2024-02-01",
        "test": "2024-03-01",
        "window_days": 14,
        "data_end": "2024-06-01T00:00:00.000001Z",
    }


def test_a_log_of_one_day_is_refused_with_its_length():
    first = to_us("2017-11-25T01:00")
    with pytest.raises(DataError) as error:
        time_split(first, first + 20 * HOUR_US, window_days=7)
    message = str(error.value)
    assert "expected at least 24 whole days" in message
    assert "got 0 from 2017-11-25T01:00:00Z to 2017-11-25" in message
    assert "bring a longer log" in message


def test_a_short_log_is_told_the_window_that_fits():
    with pytest.raises(DataError, match=r"got 15 .* set window_days to 4 or less") as error:
        time_split(0, 15 * DAY_US, window_days=7)
    assert "3 x 7 for the windows, 3 of history" in str(error.value)
    assert time_split(0, 15 * DAY_US, window_days=4).train


@given(st.integers(1, 200), st.integers(1, 30), st.integers(1, 6), st.integers(1, 30))
def test_every_split_made_is_sound(log_days, window_days, n_train, step_days):
    try:
        split = time_split(
            DAY_US // 3,
            log_days * DAY_US,
            window_days=window_days,
            n_train=n_train,
            step_days=step_days,
        )
    except DataError:
        assume(False)
        raise
    check_split(split)
    assert 1 <= len(split.train) <= n_train
    assert list(split.train) == sorted(split.train)
    assert min(split.train) > DAY_US // 3
    assert {moment % DAY_US for moment in (*split.train, split.valid, split.test)} == {0}


def leaky(**changes):
    sound = {"train": (10, 20), "valid": 30, "test": 40, "window_us": 10, "data_end": 50}
    moments = sound | changes
    train = tuple(day * DAY_US for day in moments.pop("train"))
    return TimeSplit(train, **{name: day * DAY_US for name, day in moments.items()})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": (10, 21)}, "a training window .* past the validation moment"),
        ({"train": (10, 60)}, "a training window .* past the validation moment"),
        ({"valid": 31}, "a validation window .* past the test moment"),
        ({"test": 41}, "a test window .* past the data's end"),
        ({"window_us": 11}, "training .* validation .* test"),
    ],
)
def test_leaky_splits_are_refused(changes, message):
    check_split(leaky())
    with pytest.raises(LeakageError, match=message):
        check_split(leaky(**changes))


def test_a_task_with_a_longer_window_is_named():
    check_split(leaky(), {"next_item": 1, "churn": 10})
    with pytest.raises(LeakageError, match="window of spend from 1970-01-21 to 1970-02-04"):
        check_split(leaky(), {"next_item": 1, "spend": 14})


def test_given_moments_that_overlap_are_refused():
    with pytest.raises(LeakageError, match="past the test moment"):
        time_split(0, 100 * DAY_US, window_days=7, test=80 * DAY_US, valid=75 * DAY_US)
    with pytest.raises(LeakageError, match="past the data's end"):
        time_split(0, 100 * DAY_US, window_days=7, test=97 * DAY_US)


def test_a_window_without_length_is_refused():
    with pytest.raises(ConfigError, match="window_days of at least 1, got 0"):
        time_split(0, 100 * DAY_US, window_days=0)
    with pytest.raises(ConfigError, match="step_days of at least 1, got 0"):
        time_split(0, 100 * DAY_US, window_days=7, step_days=0)
