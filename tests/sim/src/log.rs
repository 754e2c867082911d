//! What happened, for people: only written down while a story is told.

use std::cell::RefCell;

thread_local! {
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// From now on, or not.
pub(crate) fn keep(keep: bool) {
    LINES.set(keep.then(Vec::new));
}

/// What was written down.
pub(crate) fn take() -> Vec<String> {
    LINES.take().unwrap_or_default()
}

/// One line.
pub(crate) fn line(text: impl FnOnce() -> String) {
    LINES.with_borrow_mut(|lines| {
        if let Some(lines) = lines {
            lines.push(format!("{:>9.3} {}", crate::rt::since().as_secs_f64(), text()));
        }
    });
}

/// While it lives, what the rooms log is among the lines.
pub(crate) fn listen(listen: bool) -> Option<tracing::subscriber::DefaultGuard> {
    let subscriber = || {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .without_time()
            .with_ansi(false)
            .with_writer(|| Line(Vec::new()))
            .finish()
    };
    listen.then(|| tracing::subscriber::set_default(subscriber()))
}

/// A line that is being written.
struct Line(Vec<u8>);

impl std::io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let who = crate::rt::process().map_or_else(String::new, |process| process.name.clone());
        line(|| format!("  {who}: {}", String::from_utf8_lossy(&self.0).trim()));
    }
}
