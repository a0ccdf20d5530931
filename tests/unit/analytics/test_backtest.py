"""What becomes of findings when the policy changes, by hand, and against a plain pairwise search."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analytics.backtest import CheckCounts, Comparison, Outcome, compare, count_by_check
from analytics.episodes import ONGOING_US, Episodes
from fleet.checks import BY_CODE, BY_NUMBER
from fleet.flags import Flag

FLOW, BATTERY, OIL = "flow_over_range", "battery_overdue", "oil_overdue"
#: The largest time, which sorts last.
ON = None


def episodes(*rows: tuple) -> Episodes:
    """(meter, check, start, end[, flag[, part]]); end ON: it goes on."""
    full = [(*row, *(Flag.SUSPECT, 0)[len(row) - 4 :]) for row in rows]
    if not full:
        return Episodes.empty()
    meter, check, start, end, flag, part = zip(*full, strict=True)
    return Episodes.build(
        meter_key=meter,
        check=[BY_CODE[code].number for code in check],
        flag=flag,
        part=part,
        started_us=start,
        ended_us=[ONGOING_US if one is ON else one for one in end],
        readings=np.arange(len(full)),
        value=1.0,
        limit=1.0,
    )


def told(comparison: Comparison) -> list[tuple]:
    e = comparison.episodes
    rows = zip(
        e.meter_key.tolist(),
        e.check.tolist(),
        e.started_us.tolist(),
        comparison.outcome.tolist(),
        strict=True,
    )
    return [
        (meter, BY_NUMBER[check].code, start, Outcome(outcome).word) for meter, check, start, outcome in rows
    ]


def test_each_finding_is_kept_new_gone_worse_or_milder():
    before = episodes(
        (1, FLOW, 10, 20),
        (1, FLOW, 30, 40),
        (1, FLOW, 50, 60, Flag.FAIL),
        (1, FLOW, 70, 80),
        (2, FLOW, 10, ON),
        (2, OIL, 15, ON),
    )
    after = episodes(
        (1, FLOW, 12, 19),  # shorter, and the same
        (1, FLOW, 35, 40, Flag.FAIL),
        (1, FLOW, 50, 60),
        (1, FLOW, 80, 90),  # begins where another one ended
        (2, FLOW, 90, ON),
        (2, BATTERY, 15, ON),
        (3, FLOW, 10, 20),
    )
    assert told(compare(before, after)) == [
        (1, FLOW, 12, "kept"),
        (1, FLOW, 35, "worse"),
        (1, FLOW, 50, "milder"),
        (1, FLOW, 70, "gone"),
        (1, FLOW, 80, "new"),
        (2, BATTERY, 15, "new"),
        (2, OIL, 15, "gone"),
        (2, FLOW, 90, "kept"),
        (3, FLOW, 10, "new"),
    ]


def test_joined_findings_are_one_and_split_ones_are_two():
    two = episodes((1, FLOW, 10, 20, Flag.FAIL), (1, FLOW, 30, 40))
    one = episodes((1, FLOW, 5, 40))
    assert told(compare(two, one)) == [(1, FLOW, 5, "milder")]
    assert told(compare(one, two)) == [(1, FLOW, 10, "worse"), (1, FLOW, 30, "kept")]


def test_each_battery_is_compared_with_itself():
    first, second = (
        episodes((1, BATTERY, 10, 20, Flag.SUSPECT, 1)),
        episodes((1, BATTERY, 10, 20, Flag.SUSPECT, 2)),
    )
    assert sorted(row[-1] for row in told(compare(first, second))) == ["gone", "new"]


def test_another_flag_of_the_same_severity_changes_nothing():
    # dropout_frame is info whatever its flag.
    one = episodes((1, "dropout_frame", 10, 20, Flag.SUSPECT))
    other = episodes((1, "dropout_frame", 10, 20, Flag.FAIL))
    assert told(compare(one, other)) == [(1, "dropout_frame", 10, "kept")]


def test_a_finding_of_a_single_moment_overlaps_itself():
    one = episodes((1, FLOW, 10, 10))
    assert told(compare(one, one)) == [(1, FLOW, 10, "kept")]


def test_what_is_new_has_its_figures_and_what_is_gone_its_former_ones():
    before = episodes((1, OIL, 1, 2), (1, FLOW, 10, 20))
    after = episodes((1, FLOW, 30, 40))
    assert compare(before, after).episodes.readings.tolist() == [0, 1, 0]


def test_in_a_window_is_what_begins_there_under_one_of_the_two():
    before = episodes((1, FLOW, 10, 30), (1, OIL, 10, ON), (2, FLOW, 45, 60))
    after = episodes((1, FLOW, 20, 30), (1, OIL, 11, ON), (2, FLOW, 35, 60), (3, FLOW, 40, 50))
    window = compare(before, after).begun_in(15, 40)
    assert told(window) == [(1, FLOW, 20, "kept"), (2, FLOW, 35, "kept")]
    assert told(compare(before, after).begun_in(40, 41)) == [(2, FLOW, 35, "kept"), (3, FLOW, 40, "new")]


def test_counts_are_by_check_in_the_catalogues_order():
    before = episodes((1, FLOW, 10, 20), (1, OIL, 5, ON), (2, OIL, 5, ON))
    after = episodes((1, FLOW, 10, 20), (1, FLOW, 30, 40), (2, FLOW, 30, 40), (2, OIL, 5, ON))
    counted = count_by_check(compare(before, after))
    assert list(counted) == [FLOW, OIL]
    assert counted[FLOW] == CheckCounts(kept=1, new=2, gone=0, worse=0, milder=0, meters_changed=2)
    assert counted[OIL] == CheckCounts(kept=1, new=0, gone=1, worse=0, milder=0, meters_changed=1)


def test_nothing_against_nothing():
    assert len(compare(Episodes.empty(), Episodes.empty())) == 0
    assert count_by_check(compare(Episodes.empty(), Episodes.empty())) == {}
    assert len(Comparison.concatenate([])) == 0


@st.composite
def findings(draw) -> Episodes:
    """Findings of which those of one kind do not overlap."""
    rows = []
    for meter in (1, 2):
        for code in (FLOW, BATTERY):
            times = sorted(draw(st.sets(st.integers(0, 30), max_size=8)))
            pairs = list(zip(times[::2], times[1::2], strict=False))
            goes_on = draw(st.booleans())
            for at, (start, end) in enumerate(pairs):
                last = ON if goes_on and at == len(pairs) - 1 else end
                rows.append((meter, code, start, last, draw(st.sampled_from([Flag.SUSPECT, Flag.FAIL]))))
    return episodes(*draw(st.permutations(rows)))


def plainly(before: Episodes, after: Episodes) -> list[tuple]:
    def rows(e: Episodes) -> list[tuple]:
        columns = (e.meter_key, e.check, e.part, e.started_us, e.ended_us, e.flag)
        return list(zip(*(column.tolist() for column in columns), strict=True))

    found = []
    hit = set()
    for mine in rows(after):
        over = [b for b in rows(before) if b[:3] == mine[:3] and b[3] < mine[4] and mine[3] < b[4]]
        hit |= set(over)
        flag = max((b[5] for b in over), default=None)
        word = (
            "new" if flag is None else "kept" if flag == mine[5] else "worse" if mine[5] > flag else "milder"
        )
        found.append((mine[0], BY_NUMBER[mine[1]].code, mine[3], word))
    found += [(b[0], BY_NUMBER[b[1]].code, b[3], "gone") for b in rows(before) if b not in hit]
    return sorted(found)


@given(findings(), findings())
def test_it_finds_what_a_pairwise_search_finds(before, after):
    assert sorted(told(compare(before, after))) == plainly(before, after)


@given(findings())
def test_what_is_compared_with_itself_is_all_kept(found):
    comparison = compare(found, found)
    assert set(comparison.outcome.tolist()) <= {Outcome.KEPT}
    assert len(comparison) == len(found)


@given(findings(), findings(), st.integers(0, 3))
def test_meters_may_be_compared_apart(before, after, border):
    whole = compare(before, after)
    parts = [
        compare(before.take(choose(before)), after.take(choose(after)))
        for choose in (lambda e: e.meter_key < border, lambda e: e.meter_key >= border)
    ]
    assert told(Comparison.concatenate(parts)) == told(whole)
