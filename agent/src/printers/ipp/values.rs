//! Pure: values out of a group of attributes, each by its name, none of them trusted.

use ipp::attribute::IppAttributeGroup;
use ipp::value::IppValue;

use super::codec::text_of;

/// The values of an attribute, one or several.
pub(super) fn all<'a>(group: &'a IppAttributeGroup, name: &str) -> &'a [IppValue] {
    match group.get(name).map(|attribute| attribute.value()) {
        Some(IppValue::Array(values)) => values,
        Some(value) => std::slice::from_ref(value),
        None => &[],
    }
}

/// Every text of an attribute.
pub(super) fn texts(group: &IppAttributeGroup, name: &str) -> Vec<String> {
    all(group, name).iter().filter_map(text_of).collect()
}

/// The first text of an attribute, if it is not empty.
pub(super) fn text(group: &IppAttributeGroup, name: &str) -> Option<String> {
    all(group, name).iter().find_map(text_of).filter(|text| !text.is_empty())
}

/// Every integer or enum of an attribute.
pub(super) fn integers(group: &IppAttributeGroup, name: &str) -> Vec<i32> {
    all(group, name).iter().filter_map(integer_of).collect()
}

/// The first integer or enum of an attribute.
pub(super) fn integer(group: &IppAttributeGroup, name: &str) -> Option<i32> {
    all(group, name).iter().find_map(integer_of)
}

/// The first boolean of an attribute.
pub(super) fn boolean(group: &IppAttributeGroup, name: &str) -> Option<bool> {
    all(group, name).iter().find_map(|value| value.as_boolean().copied())
}

fn integer_of(value: &IppValue) -> Option<i32> {
    value.as_integer().or_else(|| value.as_enum()).copied()
}

/// `600dpi`, `600x1200dpi`, `236dpcm`.
pub(super) fn resolution(value: &IppValue) -> Option<String> {
    let IppValue::Resolution { cross_feed, feed, units } = value else { return None };
    let unit = if *units == 4 { "dpcm" } else { "dpi" };
    Some(if cross_feed == feed { format!("{feed}{unit}") } else { format!("{cross_feed}x{feed}{unit}") })
}

/// Integers and ranges of them, each number once, at most `most`.
pub(super) fn numbers(group: &IppAttributeGroup, name: &str, most: usize) -> Vec<u32> {
    let mut numbers: Vec<u32> = Vec::new();
    for value in all(group, name) {
        let range = value.as_range_of_integer().map(|(min, max)| (*min, *max));
        if let Some((low, high)) = range.or_else(|| integer_of(value).map(|number| (number, number))) {
            // From 0: a range from the least integer would be walked for seconds.
            numbers.extend((low.max(0)..=high).filter_map(|number| u32::try_from(number).ok()).take(most));
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    numbers.truncate(most);
    numbers
}
