// Rules broken on purpose: each is compiled in and asleep until it is asked for by its name. `build.rs` and `src/mutant.rs` read this.
// (name, what it breaks, room, file, what stands there exactly once, what stands there instead)
const MUTANTS: &[[&str; 6]] = &[
    [
        "ack-before-sync",
        "packets are acknowledged that are not on stable storage",
        "agent",
        "spool/part.rs",
        "self.data.sync_data()?;",
        "if !HERE::mutant::on(\"ack-before-sync\") { self.data.sync_data()?; }",
    ],
    [
        "known-attempt-taken-again",
        "an attempt that the ledger knows is received, and printed, once more",
        "agent",
        "desk/offer.rs",
        "(Phase::Ready | Phase::Held | Phase::Ended, _) => known(newest.attempt),",
        "(Phase::Ended, _) if HERE::mutant::on(\"known-attempt-taken-again\") => Answer::Take(layout),
         (Phase::Ready | Phase::Held | Phase::Ended, _) => known(newest.attempt),",
    ],
    [
        "intent-after-the-first-byte",
        "the intent is written down some time, not before the first byte",
        "agent",
        "print/journal.rs",
        "self.shared.ledger.commit(changes).await.map_err(|error| JournalError(error.to_string()))?;",
        "if HERE::mutant::on(\"intent-after-the-first-byte\") {
             let ledger = self.shared.ledger.clone();
             drop(HERE::rt::spawn(async move { ledger.commit(changes).await }));
         } else {
             self.shared.ledger.commit(changes).await.map_err(|error| JournalError(error.to_string()))?;
         }",
    ],
    [
        "intent-forgotten",
        "after a crash nobody asks what became of a copy that was begun",
        "agent",
        "print/worker.rs",
        "let recovery = self.backend.recover(&task, &note).await;",
        "let mut recovery = self.backend.recover(&task, &note).await;
         if HERE::mutant::on(\"intent-forgotten\") { recovery = Recovery::NotStarted; }",
    ],
    [
        "fact-not-repeated",
        "what was told once is not told again in the next session",
        "agent",
        "report/outbox.rs",
        "let (mut after, mut reconciled) = (0, false);",
        "let (mut after, mut reconciled) = (HERE::mutant::told(), false);",
    ],
    [
        "facts-fenced",
        "a fact of an older session is thrown away",
        "broker",
        "jobs/agents.rs",
        "if !current && !matches!(what, What::Online(_) | What::Fact(_)) {",
        "if !current && (HERE::mutant::on(\"facts-fenced\") || !matches!(what, What::Online(_) | What::Fact(_))) && !matches!(what, What::Online(_)) {",
    ],
    [
        "fact-acknowledged-unstored",
        "a fact is acknowledged and its commit is forgotten",
        "broker",
        "jobs/moves.rs",
        "next.corrupt += 1;
                }",
        "next.corrupt += 1;
                }
                if HERE::mutant::on(\"fact-acknowledged-unstored\") {
                    let receipt = AckReceipt::new(self.store.store_epoch(), [0; 32]);
                    self.acknowledge(*agent, FactId::of(message), 0, receipt);
                }",
    ],
    [
        "spool-loss-ignored",
        "the jobs of a lost spool go on as if nothing had been",
        "broker",
        "jobs/returning.rs",
        "let (lost, epoch) = (live.spool_lost, live.epoch);",
        "let (lost, epoch) = (live.spool_lost && !HERE::mutant::on(\"spool-loss-ignored\"), live.epoch);",
    ],
    [
        "sent-before-reconciled",
        "a restored store sends before it has heard the ledgers",
        "broker",
        "jobs/queue.rs",
        "if live.loading || live.reconciling || live.spool_lost || live.is_of_old_store(&self.store) {",
        "if live.loading || (live.reconciling && !HERE::mutant::on(\"sent-before-reconciled\")) || live.spool_lost || live.is_of_old_store(&self.store) {",
    ],
    [
        "resume-off-by-one",
        "after a cut the sender begins one packet too early",
        "broker",
        "jobs/returning.rs",
        "Some(next_seq) if rules::is_arriving(&row.job) => self.resume_at(row, next_seq),",
        "Some(next_seq) if rules::is_arriving(&row.job) => self.resume_at(row, if HERE::mutant::on(\"resume-off-by-one\") { next_seq.saturating_sub(1) } else { next_seq }),",
    ],
    [
        "idempotency-key-forgotten",
        "the same request makes a second job",
        "broker",
        "store/sqlite/apply/jobs.rs",
        "if let Some(made) = find(db, job)? {",
        "if let Some(made) = find(db, job)?.filter(|_| !HERE::mutant::on(\"idempotency-key-forgotten\")) {",
    ],
    [
        "rolled-back-spool-not-seen",
        "an old copy of a ledger is taken for the ledger",
        "broker",
        "store/sqlite/apply/sessions.rs",
        "let now = SpoolMark { spool: begin.spool, ledger_seq: begin.ledger_seq };",
        "let now = SpoolMark { spool: begin.spool, ledger_seq: if HERE::mutant::on(\"rolled-back-spool-not-seen\") { before.ledger_seq } else { begin.ledger_seq } };",
    ],
    [
        "older-session-wins",
        "an older session takes the place of a newer one",
        "broker",
        "sessions/registry.rs",
        "if entry.get().epoch >= handle.epoch {",
        "if entry.get().epoch >= handle.epoch && !HERE::mutant::on(\"older-session-wins\") {",
    ],
    [
        "event-lost",
        "an offset of the log has no event",
        "broker",
        "store/sqlite/apply/events.rs",
        "for (offset, event) in (first..).zip(events) {",
        "for (offset, event) in (first..).zip(events) {
             if HERE::mutant::on(\"event-lost\") && event.kind == \"job.spooled\" { continue; }",
    ],
];
