//! Progress bars: on a terminal only, on stderr.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar with a label; bytes (decimal, as everywhere in this program) and a word at the end.
const BAR: &str = "{prefix:>26} [{bar:30}] {decimal_bytes:>10}/{decimal_total_bytes:10} {msg}";

/// Bars under each other; nothing where there is no terminal or nobody wants them.
#[derive(Debug)]
pub(crate) struct Bars {
    bars: MultiProgress,
}

impl Bars {
    pub(crate) fn new(wanted: bool) -> Self {
        let target = if wanted && std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr_with_hz(15)
        } else {
            ProgressDrawTarget::hidden()
        };
        Self { bars: MultiProgress::with_draw_target(target) }
    }

    /// Whether somebody sees them.
    pub(crate) fn are_shown(&self) -> bool {
        !self.bars.is_hidden()
    }

    pub(crate) fn bar(&self, label: &'static str, bytes: u64) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new(bytes).with_prefix(label));
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar
    }

    /// A line of words that turns while something is waited for.
    pub(crate) fn words(&self) -> ProgressBar {
        let words = self.bars.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            words.set_style(style);
        }
        words.enable_steady_tick(Duration::from_millis(120));
        words
    }

    /// A line above the bars; without them on stderr as well.
    pub(crate) fn say(&self, text: &str) {
        if self.are_shown() {
            if let Err(error) = self.bars.println(text) {
                tracing::debug!(%error, "the terminal is gone");
            }
        } else {
            crate::output::note(text);
        }
    }

    /// Takes the bars away.
    pub(crate) fn clear(&self) {
        if let Err(error) = self.bars.clear() {
            tracing::debug!(%error, "the terminal is gone");
        }
    }
}
