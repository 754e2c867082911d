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
