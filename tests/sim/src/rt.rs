//! Processes, tasks and time of a run. A process that was killed never runs again: its tasks are dropped where they wait.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::disk::Disk;

/// The broker's clock at the beginning of a run: some day in 2026.
const BEGIN_MS: u64 = 1_790_000_000_000;

thread_local! {
    static CURRENT: RefCell<Option<Arc<Process>>> = const { RefCell::new(None) };
    static BEGAN: RefCell<Option<Instant>> = const { RefCell::new(None) };
    static TASKS: Cell<u64> = const { Cell::new(0) };
}

/// A process on some PC.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) disk: Arc<Disk>,
    dead: AtomicBool,
    /// What its wall clock is off by.
    pub(crate) skew_ms: AtomicI64,
    /// Dies at the so-many-th sync from now; 0 is never.
    doom: AtomicU64,
    /// Of its tasks that wait.
    wakers: Mutex<BTreeMap<u64, std::task::Waker>>,
}

impl Process {
    pub(crate) fn new(name: impl Into<String>, disk: Arc<Disk>) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            disk,
            dead: AtomicBool::new(false),
            skew_ms: AtomicI64::new(0),
            doom: AtomicU64::new(0),
            wakers: Mutex::default(),
        })
    }

    /// kill -9.
    pub(crate) fn kill(&self) {
        if !self.dead.swap(true, Ordering::AcqRel) {
            crate::log::line(|| format!("{} is killed", self.name));
            self.disk.crash();
            let wakers = std::mem::take(&mut *self.wakers.lock().unwrap_or_else(PoisonError::into_inner));
            wakers.into_values().for_each(std::task::Waker::wake);
        }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// It will be killed at that sync: even numbers just before it, odd ones just after.
    pub(crate) fn doom(&self, at: u64) {
        self.doom.store(at, Ordering::Release);
    }

    /// Half a sync passes; true where the process has just died of it.
    pub(crate) fn half_sync(&self) -> bool {
        if self.doom.load(Ordering::Acquire) > 0 && self.doom.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.kill();
        }
        self.is_dead()
    }
}

/// The process whose task runs now.
pub(crate) fn process() -> Option<Arc<Process>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Begins the time of a run.
pub(crate) fn begin() {
    BEGAN.set(Some(Instant::now()));
}

/// Since the run began.
pub(crate) fn since() -> Duration {
    BEGAN.with_borrow(|began| began.map_or(Duration::ZERO, |began| Instant::now() - began))
}

/// The right time, in Unix milliseconds: the broker's.
pub(crate) fn true_ms() -> u64 {
    BEGIN_MS + since().as_millis() as u64
}

/// The wall clock of whoever asks.
pub(crate) fn wall() -> SystemTime {
    let skew = process().map_or(0, |process| process.skew_ms.load(Ordering::Relaxed));
    UNIX_EPOCH + Duration::from_millis(true_ms().saturating_add_signed(skew))
}

/// The clock that only goes on.
pub(crate) trait Now {
    /// Now.
    fn here() -> Self;
    /// How long ago.
    fn ago(&self) -> Duration;
}

impl Now for Instant {
    fn here() -> Self {
        Self::now()
    }
    fn ago(&self) -> Duration {
        Self::now().saturating_duration_since(*self)
    }
}

impl Now for std::time::Instant {
    fn here() -> Self {
        Instant::now().into_std()
    }
    fn ago(&self) -> Duration {
        Instant::now().into_std().saturating_duration_since(*self)
    }
}

impl<T: Now> Now for &T {
    fn here() -> Self {
        unreachable!("nobody asks for a reference to now")
    }
    fn ago(&self) -> Duration {
        (**self).ago()
    }
}

/// How long ago.
pub(crate) fn elapsed(instant: &impl Now) -> Duration {
    instant.ago()
}

/// A task of a process.
pub(crate) struct Scoped<F> {
    id: u64,
    process: Option<Arc<Process>>,
    work: Option<Pin<Box<F>>>,
}

/// What a task of a killed process comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Killed;

impl std::error::Error for Killed {}

impl std::fmt::Display for Killed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the process was killed")
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = Result<F::Output, Killed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let before = CURRENT.replace(self.process.clone());
        let dead = |this: &Self| this.process.as_ref().is_some_and(|process| process.is_dead());
        let mut polled = Poll::Pending;
        if !dead(&self)
            && let Some(work) = self.work.as_mut()
        {
            polled = work.as_mut().poll(cx).map(Ok);
        }
        if dead(&self) {
            self.work = None;
            polled = Poll::Ready(Err(Killed));
        }
        if let Some(process) = &self.process {
            let mut wakers = process.wakers.lock().unwrap_or_else(PoisonError::into_inner);
            match polled {
                Poll::Pending => drop(wakers.insert(self.id, cx.waker().clone())),
                Poll::Ready(_) => drop(wakers.remove(&self.id)),
            }
        }
        CURRENT.set(before);
        polled
    }
}

/// As a task of this process.
pub(crate) fn scoped<F: Future>(process: Option<Arc<Process>>, work: F) -> Scoped<F> {
    let id = TASKS.get() + 1;
    TASKS.set(id);
    Scoped { id, process, work: Some(Box::pin(work)) }
}

/// A task of the process that asks. Dropping the handle lets it go on.
pub(crate) fn spawn<F>(work: F) -> Joined<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Joined(tokio::spawn(scoped(process(), work)))
}

/// Waits for a task.
pub(crate) struct Joined<T>(tokio::task::JoinHandle<Result<T, Killed>>);

impl<T> Future for Joined<T> {
    type Output = Result<T, Killed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|joined| joined.unwrap_or(Err(Killed)))
    }
}

/// Work on a thread for blocking work: here it takes its time and is then done at once.
pub(crate) fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Joined<T> {
    let us = crate::disk::blocking_us();
    spawn(async move {
        if us > 0 {
            tokio::time::sleep(Duration::from_micros(us)).await;
        }
        work()
    })
}

/// A set of tasks of one process.
pub(crate) struct JoinSet<T>(tokio::task::JoinSet<Result<T, Killed>>);

impl<T: Send + 'static> JoinSet<T> {
    pub(crate) fn new() -> Self {
        Self(tokio::task::JoinSet::new())
    }

    pub(crate) fn spawn(&mut self, work: impl Future<Output = T> + Send + 'static) {
        self.0.spawn(scoped(process(), work));
    }

    pub(crate) async fn join_next(&mut self) -> Option<Result<T, Killed>> {
        Some(self.0.join_next().await?.unwrap_or(Err(Killed)))
    }

    pub(crate) async fn shutdown(&mut self) {
        self.0.shutdown().await;
    }
}

/// Tasks that somebody may wait for; nobody does here.
#[derive(Debug, Default)]
pub(crate) struct TaskTracker;

impl TaskTracker {
    pub(crate) fn spawn<F>(&self, work: F)
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        drop(spawn(work));
    }
}

/// A thread that is a task.
pub(crate) struct Thread;

impl Thread {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn name(self, _: String) -> Self {
        self
    }

    pub(crate) fn spawn(self, work: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
        drop(spawn(work));
        Ok(())
    }
}
