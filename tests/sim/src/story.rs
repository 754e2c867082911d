//! What happens in a run: made from a seed, written down where it failed.

use inkwire_protocol::printer::OnUncertain;
use serde::{Deserialize, Serialize};

use crate::chance::{below, one_in, seed};
use crate::device::{Nature, Trouble};

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Story {
    /// Of the chance that is left: delays, what survives a crash.
    pub seed: u64,
    pub(crate) agents: Vec<AgentPlan>,
    /// In order.
    pub(crate) steps: Vec<(u64, Step)>,
}

/// A PC with its printers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AgentPlan {
    pub(crate) printers: Vec<(Nature, u64)>,
    pub(crate) skew_ms: i64,
    pub(crate) sync_us: u64,
}

/// Something that somebody does, or that goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Step {
    Submit {
        agent: usize,
        printer: usize,
        bytes: u64,
        qty: u32,
        priority: u8,
        hold: bool,
        stream: bool,
        on_uncertain: OnUncertain,
        expires_s: u64,
        /// The app asks so many times.
        times: u32,
    },
    Cancel {
        job: usize,
    },
    Hold {
        job: usize,
    },
    Release {
        job: usize,
    },
    Reprint {
        job: usize,
    },
    /// Both ends hear of it, or nobody does.
    Cut {
        agent: usize,
        silent: bool,
    },
    /// Nothing passes in one direction.
    Stall {
        agent: usize,
        up: bool,
        ms: u64,
    },
    /// The line is gone, and perhaps comes back with another address.
    Gone {
        agent: usize,
        ms: u64,
        moved: bool,
    },
    Slow {
        agent: usize,
        latency_ms: u64,
        bytes_s: u64,
    },
    /// Dials arrive late, and in another order.
    Late {
        agent: usize,
        ms: u64,
    },
    KillBroker {
        down_ms: u64,
        at_sync: u64,
    },
    KillAgent {
        agent: usize,
        down_ms: u64,
        at_sync: u64,
    },
    DiskFull {
        agent: usize,
        ms: u64,
    },
    /// A file cannot be synced, once.
    WriteFails {
        agent: usize,
        sync: u64,
    },
    LoseSpool {
        agent: usize,
    },
    /// The disk is copied; later it is put back, or another PC begins with it.
    CopyDisk {
        agent: usize,
    },
    PutBack {
        agent: usize,
    },
    Clone {
        agent: usize,
        ms: u64,
    },
    CopyStore,
    PutBackStore,
    ClockJump {
        agent: usize,
        ms: i64,
    },
    Trouble {
        agent: usize,
        printer: usize,
        trouble: Trouble,
        ms: u64,
    },
}

/// Until then things happen; afterwards everything is mended and must come to rest.
pub(crate) const PLAY_MS: u64 = 60_000;

impl Story {
    /// How many things happen in it.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// The story of a seed.
    pub fn of(number: u64) -> Self {
        seed(number.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x1234_5678);
        let agents: Vec<AgentPlan> = (0..=below(3)).map(|_| agent()).collect();
        let jobs = 3 + below(14) as usize;
        let mut steps: Vec<(u64, Step)> =
            (0..jobs).map(|_| (2000 + below(PLAY_MS / 2), submit(&agents))).collect();
        for _ in 0..below(6) {
            let job = below(jobs as u64) as usize;
            let step = match below(4) {
                0 => Step::Cancel { job },
                1 => Step::Hold { job },
                2 => Step::Release { job },
                _ => Step::Reprint { job },
            };
            steps.push((3000 + below(PLAY_MS - 5000), step));
        }
        for _ in 0..below(9) {
            faults(&agents, &mut steps);
        }
        steps.sort_by_key(|(at, _)| *at);
        Self { seed: number, agents, steps }
    }
}

fn agent() -> AgentPlan {
    let nature = || match below(3) {
        0 => Nature::Raw,
        1 => Nature::Asked,
        _ => Nature::Folder,
    };
    let printers =
        (0..=below(2)).map(|_| (nature(), [40_000, 300_000, 4_000_000][below(3) as usize])).collect();
    let skew_ms = if one_in(4) { below(400_000) as i64 - 200_000 } else { 0 };
    AgentPlan { printers, skew_ms, sync_us: [200, 2000, 30_000][below(3) as usize] }
}

fn submit(agents: &[AgentPlan]) -> Step {
    let agent = below(agents.len() as u64) as usize;
    Step::Submit {
        agent,
        printer: below(agents[agent].printers.len() as u64) as usize,
        bytes: match below(6) {
            0 => below(3),
            1 | 2 => 200 + below(4000),
            3 => 16_320 * below(4),
            4 => 20_000 + below(44_000),
            _ => 70_000 + below(400_000),
        },
        qty: if one_in(5) { 2 + below(2) as u32 } else { 1 },
        priority: if one_in(4) { 90 } else { 50 },
        hold: one_in(12),
        stream: one_in(5),
        on_uncertain: match below(6) {
            0 => OnUncertain::Reprint,
            1 => OnUncertain::Drop,
            _ => OnUncertain::Hold,
        },
        expires_s: if one_in(8) { 2 + below(60) } else { 14 * 86_400 },
        times: if one_in(4) { 2 + below(2) as u32 } else { 1 },
    }
}

fn faults(agents: &[AgentPlan], steps: &mut Vec<(u64, Step)>) {
    let agent = below(agents.len() as u64) as usize;
    let at = 2000 + below(PLAY_MS - 4000);
    let ms = [300, 3000, 12_000, 40_000][below(4) as usize] + below(500);
    let at_sync = if one_in(2) { 1 + below(40) } else { 0 };
    let down_ms = [1, 500, 5000, 20_000][below(4) as usize];
    let step = match below(20) {
        0 | 1 => Step::Cut { agent, silent: one_in(2) },
        2 | 3 => Step::Stall { agent, up: one_in(2), ms },
        4 | 5 => Step::Gone { agent, ms, moved: one_in(2) },
        6 => Step::Slow { agent, latency_ms: 5 + below(300), bytes_s: 4000 + below(400_000) },
        7 => Step::Late { agent, ms },
        8..=10 => Step::KillBroker { down_ms, at_sync },
        11..=13 => Step::KillAgent { agent, down_ms, at_sync },
        14 if one_in(3) => Step::WriteFails { agent, sync: 1 + below(8) },
        14 => Step::DiskFull { agent, ms },
        15 => match below(3) {
            0 => Step::LoseSpool { agent },
            1 => {
                steps.push((at.saturating_sub(1000 + below(8000)), Step::CopyDisk { agent }));
                Step::PutBack { agent }
            }
            _ => {
                steps.push((at.saturating_sub(1000 + below(8000)), Step::CopyDisk { agent }));
                Step::Clone { agent, ms }
            }
        },
        16 => {
            steps.push((at.saturating_sub(1000 + below(8000)), Step::CopyStore));
            Step::PutBackStore
        }
        17 => Step::ClockJump { agent, ms: below(2_000_000) as i64 - 1_000_000 },
        _ => {
            let printer = below(agents[agent].printers.len() as u64) as usize;
            let trouble = match below(3) {
                0 => Trouble::Stopped,
                1 => Trouble::Vanished,
                _ => Trouble::Mute,
            };
            Step::Trouble { agent, printer, trouble, ms }
        }
    };
    steps.push((at, step));
}
