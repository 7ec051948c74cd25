"""A claimed job, from the won claim to the ack: the steps put together, each with its own ports.

The tree runs ``Work.judge`` beside the lease and then ``Work.conclude`` in a shield. ``JobIntake`` claims entries and
starts jobs.

Both stores meet here. What if we die between them (``tests/fault/test_deaths.py`` kills at each point)?

* read or reclaimed, not claimed: the entry is pending, the row unchanged. Reclaim brings the entry to the claim.
* claimed, not finalized: the lease runs out. Reclaim brings attempt+1, and every statement of the old one is refused.
* finalized, not acked: the row is done, the entry pending. Reclaim brings it to the claim, which answers
  ``already_done``, and it is acked. So the ack need not delay anything: a task of the node makes it a moment later.
* given back, not acked: the outbox brings a new entry. The claim accepts one of the two; the other is acked when the
  row is done.
* the entry is lost as well (trimmed, Redis wiped): repair writes a new outbox event for the row, once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import trio

from deepoj import observe
from deepoj.execution.deferred import DeferredWork, StartTask
from deepoj.nursery.gate import Gate
from deepoj.nursery.intake import DRAINED, Intake, names
from deepoj.nursery.leases import Lease, Leases
from deepoj.pipeline import ack as ack_step
from deepoj.pipeline import claim as claim_step
from deepoj.pipeline import finalize as finalize_step
from deepoj.ports.leases import JobLeases
from deepoj.ports.live import Progress
from deepoj.ports.stream import JobStream
from deepoj.words.errors import BlobMissing, BlobsUnavailable, BoxAway, BoxBroken, StreamUnavailable
from deepoj.words.jobs import Claim, ClaimRefusal, FinalizeRefusal
from deepoj.words.outbox import Priority
from deepoj.words.results import Infra, Report
from deepoj.words.stream import ALIVE_MS, BadEntry, Entry

#: Breakages of judging that are not bugs: the job is given back, for another attempt.
JUDGE_BREAKAGES = (BlobsUnavailable, BlobMissing, BoxBroken)

#: A job given back after an infrastructure failure waits 2, 4, 8 … seconds by its attempt's number, at most this long.
GIVE_BACK_MAX_S = 30.0
#: A node that failed leaves the job to other nodes for this long, if there are any, so that a broken node does not use
#: up the attempts. After that it takes the job itself, so a job never waits for a node that does not come.
AVOID_S = 30.0
#: how long an ack may take, also while the node stops: as long as the stream waits for an answer
ACK_S = 3.0

Judge = Callable[[Claim], Awaitable[Report | Infra]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Judges a claimed job, writes its verdict and acks its entry."""

    jobs: JobLeases
    stream: JobStream
    judge_claim: Judge
    metrics: observe.Metrics
    #: notified when a job has ended here; None: progress is not published
    progress: Progress | None = None
    #: starts a task of the node, for the ack; None: the job waits for the ack
    start_task: StartTask | None = None

    async def judge(self, claim: Claim) -> Report | Infra:
        """Judge it. A declared breakage becomes an ``Infra``: a reason to try again."""
        started = trio.current_time()
        try:
            outcome = await self.judge_claim(claim)
        except JUDGE_BREAKAGES as breakage:
            away = isinstance(breakage, BlobsUnavailable | BoxAway)
            outcome = Infra(type(breakage).__name__, str(breakage), outage=away)
        status = claim.verdict_label(outcome.status) if isinstance(outcome, Report) else "infra"
        self.metrics.task.labels(status=status).inc()
        self.metrics.task_duration_seconds.observe(trio.current_time() - started)
        return outcome

    async def conclude(self, lease: Lease, outcome: Report | Infra) -> None:
        """Write the verdict (or give the job back), then ack. If the stream is away only the ack is missing: reclaim
        finds the row done and acks then.

        The lease ends before the ack, which would share the interpreter with the reads of those who watch the job.

        Raises:
          StoreUnavailable: the verdict may or may not be written; repeating is safe.
        """
        if isinstance(outcome, Report):
            outcome = self._measured(lease, outcome)
        ending = await self._write(lease.claim, outcome)
        if self.progress is not None:
            self.progress.changed(lease.claim.job_id, over=ending is ack_step.Settled.FINALIZED)
        if ending is ack_step.Settled.FINALIZED:
            waited_s = lease.claim.waited_ms / 1000
            self.metrics.end_to_end_seconds.observe(waited_s + trio.current_time() - lease.granted_at)
        await DeferredWork(self.start_task).add(partial(_ack, self.stream, lease.claim, ending))

    def _measured(self, lease: Lease, report: Report) -> Report:
        """Return the report with the times of all stages up to now, and count them."""
        claim, attempt_ms = lease.claim, (trio.current_time() - lease.granted_at) * 1000
        stages = report.stages.of_attempt(attempt_ms, dispatch_ms=claim.dispatch_ms, waited_ms=claim.waited_ms)
        for stage, ms in (
            ("prepare", stages.prepare_ms),
            ("compile", stages.compile_ms),
            ("run", stages.run_ms),
            ("compare", stages.compare_ms),
        ):
            self.metrics.stage_seconds.labels(stage=stage).observe(ms / 1000)
        return replace(report, stages=stages)

    async def _write(self, claim: Claim, outcome: Report | Infra) -> ack_step.Settled | FinalizeRefusal:
        if isinstance(outcome, Report):
            refusal = await finalize_step.finalize(self.jobs, claim, outcome, self.metrics)
            return refusal or ack_step.Settled.FINALIZED
        delay_s = min(2.0 ** min(claim.attempt_id, 16), GIVE_BACK_MAX_S)
        refusal = await finalize_step.give_back(
            self.jobs,
            claim,
            outcome,
            counts=not outcome.outage,
            delay_s=delay_s,
            avoid_s=AVOID_S,
            metrics=self.metrics,
        )
        return refusal or ack_step.Settled.GIVEN_BACK


class JobIntake(Intake[Claim]):
    """Turns stream entries into claimed jobs."""

    _not_given_back = "give_back_failed"

    def __init__(
        self,
        jobs: JobLeases,
        stream: JobStream,
        leases: Leases,
        settings: claim_step.LeaseSettings,
        metrics: observe.Metrics,
        *,
        gate: Gate | None = None,
        progress: Progress | None = None,
        #: called when an entry announces custom runs, which wait in the store
        on_run: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(leases, gate)
        self._progress = progress
        self._jobs, self._stream, self._settings, self._metrics = jobs, stream, settings, metrics
        self._on_run = on_run

    async def wait_room(self) -> int:
        """Park until the gate is open and a slot is free. Return the number of free slots."""
        return await self._wait_room(self._wait_slot)

    async def _wait_slot(self) -> int:
        if not self.leases.free:  # during a backlog this is logged before every read
            observe.log("backpressure_pause", often=True, in_hand=len(self.leases.held()), reason="no_free_slot")
        return await self.leases.wait_free()

    def _gauge(self) -> None:
        self._metrics.stream_inflight.set(len(self.leases.held()))
        self._metrics.reclaim_inflight.set(self.leases.reclaimed())

    async def admit_reclaimed(self, entries: Sequence[Entry | BadEntry]) -> int:
        """Admit entries that were another consumer's."""
        return await self.admit(entries, reclaimed=True)

    async def admit(self, entries: Sequence[Entry | BadEntry], *, reclaimed: bool = False) -> int:
        """Claim the entries and start the jobs that were won; ack the entries that the claim's answer settles. Return
        the number of jobs started.

        Raises:
          StoreUnavailable: no refused entry was acked; they stay pending for reclaim, or for a restart of the consumer.
          StreamUnavailable: jobs that were won have been started.
        """
        good = [entry for entry in entries if isinstance(entry, Entry) and not entry.of_run]
        refused: list[tuple[str, str, ack_step.Ending]] = [
            (entry.entry_id, "", entry) for entry in entries if isinstance(entry, BadEntry)
        ]
        of_contest = {entry.entry_id for entry in good if entry.priority == Priority.CONTEST}
        started = 0
        await self._take_notifications([entry for entry in entries if isinstance(entry, Entry) and entry.of_run])
        if good:
            sent_at = trio.current_time()
            answers: dict[str, Claim | ack_step.Ending] = dict(
                await claim_step.claim(self._jobs, good, self._settings, self._metrics, yields=True)
            )
            # At once: the next statement may break, and these jobs are already claimed.
            started = await self._begin_won(answers, sent_at, reclaimed, of_contest)
            avoided = [entry for entry in good if answers[entry.entry_id] is ClaimRefusal.AVOIDED]
            if avoided:
                sent_at = trio.current_time()
                of_avoided = await self._avoid(avoided)
                started += await self._begin_won(of_avoided, sent_at, reclaimed, of_contest)
                answers |= of_avoided
            unfit = [entry for entry in good if answers[entry.entry_id] is ClaimRefusal.UNFIT]
            if unfit:
                answers |= await self._hand_over(unfit, 0.0, unfit=True)
            for entry in good:
                answer = answers[entry.entry_id]
                if not isinstance(answer, Claim):
                    refused.append((entry.entry_id, entry.job_id, answer))
                    if answer is ClaimRefusal.DEAD and self._progress is not None:
                        self._progress.changed(entry.job_id, over=True)
            await self._set_idle([entry_id for entry_id, _, ending in refused if ending is ClaimRefusal.LEASED])
        for entry_id, job_id, ending in refused:
            if isinstance(ending, BadEntry):
                self._metrics.stream_consume.labels(status="error", reason="undecodable").inc()
            elif reclaimed and isinstance(ending, ClaimRefusal):
                self._metrics.reclaim.labels(status="skipped", reason=ending.value).inc()
                observe.log("reclaim_skipped", job_id=job_id, stream_entry_id=entry_id, reason=ending.value)
            await ack_step.ack(self._stream, entry_id, ending, job_id=job_id)
        return started

    async def wait_contest_room(self) -> None:
        """Park until the gate is open, and slots are free for jobs of contests alone."""
        await self._wait_room(self.leases.wait_only_for_contests)

    def contest_room(self) -> int:
        """Return how many slots are free for jobs of contests; 0 while the gate is shut."""
        return self.leases.free_for_contests if self.gate.is_open else 0

    async def admit_ahead(self, entries: Sequence[Entry]) -> int:
        """Claim unread entries of contests, start the jobs that were won, and take their entries out of the stream.
        Return the number of jobs started. What is refused is left to the consumer that will read its entry.

        What if we die before the entries are out? They are read later, and the claim refuses them. After it, while the
        job runs? Its lease runs out, and repair finds a row without a live entry.

        Raises:
          StoreUnavailable: no entry was taken out.
          StreamUnavailable: the jobs that were won have been started.
        """
        sent_at = trio.current_time()
        answers = await claim_step.claim(self._jobs, entries, self._settings, self._metrics, yields=True)
        started = await self._begin_won(answers, sent_at, reclaimed=False, of_contest=answers)
        await self._stream.take_out([entry_id for entry_id, answer in answers.items() if isinstance(answer, Claim)])
        return started

    async def _take_notifications(self, of_runs: Sequence[Entry]) -> None:
        """Handle entries that are only notifications: custom runs wait in the store for a node that has room."""
        if of_runs:
            self._on_run()
            await ack_step.ack_all(self._stream, [(entry, ack_step.Settled.NOTIFIED) for entry in of_runs])

    async def _set_idle(self, entry_ids: Sequence[str]) -> None:
        """Let reclaim look at entries of leased jobs again as soon as ``grace`` is over.

        Otherwise they would have to be idle for another lease + grace; the holder may die right after this look, and
        its lease end long before that.

        What if we die before this? The entries count as touched just now. If their job's holder dies as well, it waits
        for lease + grace from now.
        """
        if entry_ids:
            await self._stream.set_idle(entry_ids, round(self._settings.lease_s * 1000))

    async def _avoid(self, entries: Sequence[Entry]) -> Mapping[str, Claim | ack_step.Ending]:
        """Offer jobs that this node has just failed at to other nodes, or claim them here if there are none."""
        if await self._stream.live_consumers(ALIVE_MS) > 1:
            return await self._hand_over(entries, AVOID_S)
        return await claim_step.claim(self._jobs, entries, self._settings, self._metrics)

    async def hand_over(self, entries: Sequence[Entry | BadEntry]) -> None:
        """Hand entries that this node will not claim over to other nodes, and ack them.

        What if we die between the outbox event and the ack? The job has two entries; the claim refuses the second.

        Raises:
          StoreUnavailable: no entry was acked; they stay pending for reclaim.
          StreamUnavailable: some of them stay pending beside their new entries.
        """
        await self._take_notifications([entry for entry in entries if isinstance(entry, Entry) and entry.of_run])
        in_hand = {held.job_id for held in self.leases.held()}
        left = [
            entry for entry in entries if isinstance(entry, Entry) and not entry.of_run and entry.job_id not in in_hand
        ]
        if not left:
            return
        endings = await self._hand_over(left, 0.0)
        observe.log("hand_over", count=len(left))
        await ack_step.ack_all(self._stream, [(entry, endings[entry.entry_id]) for entry in left])

    async def _hand_over(
        self, entries: Sequence[Entry], avoid_s: float, *, unfit: bool = False
    ) -> dict[str, ack_step.Ending]:
        answers = await self._jobs.hand_over([entry.job_id for entry in entries], avoid_s=avoid_s, unfit=unfit)
        return {entry.entry_id: answers[entry.job_id] or ack_step.Settled.HANDED_OVER for entry in entries}

    async def _begin_won(
        self,
        answers: Mapping[str, Claim | ack_step.Ending],
        sent_at: float,
        reclaimed: bool,
        of_contest: Collection[str],
    ) -> int:
        """Start the jobs of the claims among the answers; ``of_contest``: entries of jobs of contests. Return how many
        were started."""
        started = 0
        for entry_id, answer in answers.items():
            if isinstance(answer, Claim) and await self._begin(
                answer, sent_at, reclaimed=reclaimed, of_contest=entry_id in of_contest
            ):
                started += 1
                if self._progress is not None:
                    self._progress.changed(answer.job_id)
        return started

    async def _give_back(self, claim: Claim) -> None:
        refusal = await finalize_step.give_back(
            self._jobs, claim, DRAINED, counts=False, delay_s=0.0, metrics=self._metrics
        )
        await _ack(self._stream, claim, refusal or ack_step.Settled.GIVEN_BACK)


async def _ack(stream: JobStream, claim: Claim, ending: ack_step.Settled | FinalizeRefusal) -> None:
    reason = f"no answer within {ACK_S:g} s"
    try:
        with trio.move_on_after(ACK_S):
            await ack_step.ack(stream, claim.entry_id, ending, **names(claim))
            return
    except StreamUnavailable as error:
        reason = str(error)
    observe.log("xack_failed", level="warning", **names(claim), stream_entry_id=claim.entry_id, reason=reason)
