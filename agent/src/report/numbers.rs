//! Which printer has which number: a number stays with its name for as long as the ledger lives. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// Gives every printer its number: the one in the configuration, else the one it had, else the smallest that nobody has or had.
pub(crate) fn assign(known: &[(String, u16)], wanted: &[(String, Option<u16>)]) -> Vec<u16> {
    let had: BTreeMap<&str, u16> = known.iter().map(|(name, number)| (name.as_str(), *number)).collect();
    let configured: BTreeSet<u16> = wanted.iter().filter_map(|(_, number)| *number).collect();
    let mut taken: BTreeSet<u16> = configured.iter().copied().chain(had.values().copied()).collect();
    let mut given = Vec::with_capacity(wanted.len());
    for (name, number) in wanted {
        let before = had.get(name.as_str()).copied().filter(|before| !configured.contains(before));
        let number = number
            .or(before)
            .unwrap_or_else(|| (1..=u16::MAX).find(|number| !taken.contains(number)).unwrap_or(u16::MAX));
        taken.insert(number);
        given.push(number);
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(list: &[(&str, Option<u16>)]) -> Vec<(String, Option<u16>)> {
        list.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect()
    }

    #[test]
    fn a_number_stays_with_its_name_whoever_comes_and_goes() {
        let known = [("a".to_owned(), 1), ("b".to_owned(), 2)];
        assert_eq!(assign(&known, &named(&[("c", None), ("b", None)])), [3, 2]);
        assert_eq!(assign(&[], &named(&[("a", None), ("b", Some(1)), ("c", None)])), [2, 1, 3]);
    }

    #[test]
    fn the_configuration_outranks_the_ledger() {
        let known = [("a".to_owned(), 1)];
        assert_eq!(assign(&known, &named(&[("a", None), ("b", Some(1))])), [2, 1]);
    }
}
