"""One fault from its load to its verdict."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from functools import partial

from bench.faults.check import Verdict, check_readings, check_refusals
from bench.faults.content import Reading
from bench.faults.fault import Fault
from bench.faults.load import Load
from bench.faults.names import IDENTITY
from bench.faults.oracle import AwayError
from bench.faults.outcome import Outcome
from bench.faults.stage import PromiseBrokenError, Stage

#: How long ingest may take to store a reading published after everything is mended.
_RECOVER_S = 30.0
_DRAIN_S = 60.0
_CONFIRM_S = 60.0
_ASK_S = 20.0
_MOST_MB = 200.0
#: Meters that keep a reading until it is confirmed.
_BUFFERED = "^[BP]"


class Runner:
    """Runs faults one after another on one stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._boot = 0
        self._known: set[str] = set()

    def run(self, fault: Fault, number: int) -> Outcome:
        """Break, mend, wait for calm, and judge; `number` tells the repetitions of a fault apart."""
        rng = random.Random(f"{self._stage.seed}:{number}:{fault.name}")
        outcome = Outcome(fault.name)
        self._boot += 1
        stage, ended = self._stage, len(self._stage.ingest.codes)
        stage.load = Load(stage.broker.url, stage.ledger, self._boot, stage.seed)
        try:
            self._break(fault, rng, outcome)
            self._settle(outcome)
            self._judge(outcome)
        except (AwayError, PromiseBrokenError) as error:
            outcome.problems.append(f"it could not be judged: {error}")
        finally:
            stage.load.close()
        if not fault.ends_ingest and stage.ingest.codes[ended:]:
            outcome.problems.append(f"ingest ended with {stage.ingest.codes[ended:]}")
        return outcome

    def judge_all(self) -> Outcome:
        """Look at everything once more: what is stored has to stay stored."""
        outcome = Outcome("afterwards")
        for boot in range(1, self._boot + 1):
            self._compare(outcome, boot)
        return outcome

    def _break(self, fault: Fault, rng: random.Random, outcome: Outcome) -> None:
        stage = self._stage
        stage.until(lambda: stage.subscribed(IDENTITY), _RECOVER_S, "ingest is ready for the next fault")
        stage.ingest.take_peak_mb()
        stage.load.steady()
        stage.pause(rng.uniform(0.3, 1.0))
        try:
            fault.run(stage, rng)
        except (AwayError, PromiseBrokenError) as error:
            outcome.problems.append(str(error))
        mended_s = time.monotonic()
        stage.heal()
        try:
            probe = stage.load.forgetful.publish(1)
            stage.until(
                lambda: stage.is_stored(probe), _RECOVER_S, "a reading published after the fault is stored"
            )
            outcome.recovered_s = time.monotonic() - mended_s
        except PromiseBrokenError as error:
            outcome.problems.append(str(error))

    def _settle(self, outcome: Outcome) -> None:
        """Let the meters fall silent, and wait until the broker holds nothing any more."""
        stage, load = self._stage, self._stage.load
        load.calm()
        try:
            stage.until(lambda: load.forgetful.idle, _DRAIN_S, "the broker takes everything")
            stage.until(
                lambda: self._is_kept(load.forgetful.publish(1)), _DRAIN_S, "the broker's queue is stored"
            )
            stage.until(lambda: load.buffered.settled, _CONFIRM_S, "every buffered reading is confirmed")
            stage.until(lambda: not self._outstanding(), _DRAIN_S, "everything delivered is acknowledged")
        except PromiseBrokenError as error:
            outcome.problems.append(str(error))

    def _is_kept(self, last: list[Reading]) -> bool:
        """Wait a while for a reading that stands behind all others in the broker's queue."""
        with suppress(PromiseBrokenError):
            self._stage.until(lambda: self._stage.is_stored(last), _ASK_S, "the last reading is stored")
            return True
        return False

    def _outstanding(self) -> int:
        taps = self._stage.witness.connections(IDENTITY)
        return taps[-1].outstanding if taps else 0

    def _judge(self, outcome: Outcome) -> None:
        stage = self._stage
        stage.until(partial(self._take_early, outcome), _ASK_S, "the database answers")
        self._compare(outcome, self._boot)
        outcome.gaps_open = stage.oracle.gaps(_BUFFERED)
        sent = stage.ledger.of_boot(self._boot)
        outcome.published = len(sent)
        outcome.resent = sum(item.times - 1 for item in sent)
        outcome.rss_mb = stage.ingest.take_peak_mb()
        if outcome.rss_mb > _MOST_MB:
            outcome.problems.append(f"ingest took {outcome.rss_mb:.0f} MB")

    def _take_early(self, outcome: Outcome) -> bool:
        """Take what the witness saw; False while the database cannot be asked."""
        with suppress(AwayError):
            outcome.acked_early += self._stage.witness.take_early()
            return True
        return False

    def _compare(self, outcome: Outcome, boot: int) -> None:
        stage = self._stage
        for verdict in (
            check_readings(stage.ledger.of_boot(boot), stage.oracle.stored(boot), stage.windows),
            check_refusals(stage.ledger.all_bad(), stage.oracle.refused(0), stage.windows),
        ):
            self._add(outcome, verdict)

    def _add(self, outcome: Outcome, verdict: Verdict) -> None:
        """Add what was not said of an earlier fault."""
        for name in ("lost", "broker_lost", "doubled", "misjudged"):
            fresh = [text for text in getattr(verdict, name) if f"{name}: {text}" not in self._known]
            self._known |= {f"{name}: {text}" for text in fresh}
            getattr(outcome, name).extend(fresh)
