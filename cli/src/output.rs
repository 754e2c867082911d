//! The only place that writes to the terminal: results to stdout, words about them to stderr.

#![allow(clippy::print_stderr, reason = "a command line talks to people")]

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

use crate::exit::Failure;

/// One line of the result. A reader that has gone (`| head`) is not an error.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    written(writeln!(io::stdout().lock(), "{text}"))
}

/// The result as one JSON object: indented for people, one line for programs.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = if io::stdout().is_terminal() {
        serde_json::to_string_pretty(value)
    } else {
        serde_json::to_string(value)
    };
    line(&text.map_err(anyhow::Error::from)?)
}

/// One event of many as one line of JSON.
pub(crate) fn json_line(value: &impl Serialize) -> Result<(), Failure> {
    line(&serde_json::to_string(value).map_err(anyhow::Error::from)?)
}

/// Words beside the result.
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// Why there is no result.
pub(crate) fn error(failure: &Failure) {
    eprintln!("inkwire: {failure}");
}

fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Columns under their names, each as wide as it must be.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(names: &[&str]) -> Self {
        Self { rows: vec![names.iter().map(|name| (*name).to_owned()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| clean(&cell)).collect());
    }

    pub(crate) fn print(&self, empty: &str) -> Result<(), Failure> {
        if self.rows.len() < 2 {
            note(empty);
            return Ok(());
        }
        self.lines().iter().try_for_each(|text| line(text))
    }

    fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        let padded = |row: &Vec<String>| {
            let pad = |(cell, &width): (&String, &usize)| cell.clone() + &" ".repeat(width - cell.width());
            let cells: Vec<_> = row.iter().zip(&widths).map(pad).collect();
            cells.join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(padded).collect()
    }
}

/// What others named cannot steer the terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_names_steer_nothing() {
        let mut table = Table::new(&["name", "state"]);
        table.row(["office\u{1b}[2J".to_owned(), "idle".to_owned()]);
        table.row(["a".to_owned(), "stopped".to_owned()]);
        let lines = table.lines();
        assert_eq!(lines, ["name        state", "office\u{FFFD}[2J  idle", "a           stopped"]);
    }

    #[test]
    fn wide_characters_take_two_places_and_accents_none() {
        let mut table = Table::new(&["name", "state"]);
        table.row(["請求書".to_owned(), "idle".to_owned()]);
        table.row(["cafe\u{301}".to_owned(), "idle".to_owned()]);
        assert_eq!(table.lines(), ["name    state", "請求書  idle", "cafe\u{301}    idle"]);
    }
}
