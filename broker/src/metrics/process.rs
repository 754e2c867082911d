//! What the kernel says of this process, by the names that Prometheus' own clients use.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, getrlimit};

use super::exposition::{Family, Number, Samples, Values};

/// Memory, files and processor time. What cannot be read is left out.
pub(super) fn families() -> Vec<Family> {
    let gauge = |name, help, value: Option<u64>| {
        let samples = Samples::Gauge(Values::One(Number::Whole(value?)));
        Some(Family { name, help, samples })
    };
    let cpu = cpu_time().map(|time| Family {
        name: "process_cpu_seconds",
        help: "Processor time used, user and system",
        samples: Samples::Counter(Values::One(Number::Real(time.as_secs_f64()))),
    });
    let started = started().map(|since| Family {
        name: "process_start_time_seconds",
        help: "When the process was started, in Unix seconds",
        samples: Samples::Gauge(Values::One(Number::Real(since.as_secs_f64()))),
    });
    let most_files = getrlimit(Resource::Nofile).current;
    [
        cpu,
        started,
        gauge("process_resident_memory_bytes", "Memory that is in use", resident()),
        gauge("process_open_fds", "Open files and connections", open_files()),
        gauge("process_max_fds", "Files and connections that may be open", most_files),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn resident() -> Option<u64> {
    let pages: u64 = fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn open_files() -> Option<u64> {
    // The folder that is being read is open itself.
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    Some(open.saturating_sub(1) as u64)
}

/// A field of /proc/self/stat after the process's name, which may hold anything; the first one is number 3 (proc(5)).
fn stat(field: usize) -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(field - 3)?.trim().parse().ok()
}

fn ticks(count: u64) -> Duration {
    Duration::from_secs_f64(count as f64 / rustix::param::clock_ticks_per_second() as f64)
}

fn cpu_time() -> Option<Duration> {
    Some(ticks(stat(14)? + stat(15)?))
}

fn started() -> Option<Duration> {
    let uptime: f64 = fs::read_to_string("/proc/uptime").ok()?.split(' ').next()?.parse().ok()?;
    let lived = Duration::from_secs_f64(uptime).saturating_sub(ticks(stat(22)?));
    SystemTime::now().duration_since(UNIX_EPOCH).ok()?.checked_sub(lived)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_words_are_read() {
        assert_eq!(families().len(), 5);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().saturating_sub(started().unwrap());
        assert!(since < Duration::from_secs(3600), "started {since:?} ago");
        assert!(resident().unwrap() > 100_000 && open_files().unwrap() > 0);
    }
}
