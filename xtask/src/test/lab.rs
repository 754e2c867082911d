//! What the NAT lab's JSON lines say of a failure. Pure.

use serde_json::Value;

/// What was missed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Missed {
    /// Nothing: every scenario is ok.
    Nothing,
    /// Only times, in these scenarios.
    Times(Vec<String>),
    /// A document, or a scenario was not played at all.
    Truth,
}

/// Reads the lines of one run.
pub(super) fn missed(output: &str) -> Missed {
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut late: Vec<String> = Vec::new();
    let mut count = 0;
    for line in lines.filter(|line| line.get("ok").is_some()) {
        count += 1;
        if line["ok"] == true {
            continue;
        }
        let number = |key: &str| line.get(key).and_then(Value::as_u64);
        let documents = number("documents").filter(|documents| *documents > 0);
        let true_to_all = documents.is_some()
            && number("intact") == documents
            && number("printed_once") == documents
            && number("uncertain") == Some(0)
            && number("sent_twice_max") <= number("window");
        let Some(scenario) = line["scenario"].as_str().filter(|_| true_to_all) else { return Missed::Truth };
        if !late.iter().any(|known| known == scenario) {
            late.push(scenario.to_owned());
        }
    }
    match (count, late.is_empty()) {
        (0, _) => Missed::Truth,
        (_, true) => Missed::Nothing,
        (_, false) => Missed::Times(late),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(scenario: &str, intact: u64, ok: bool) -> String {
        format!(
            "{{\"scenario\":\"{scenario}\",\"documents\":6,\"intact\":{intact},\"printed_once\":6,\"uncertain\":0,\"sent_twice_max\":4,\"window\":64,\"ok\":{ok}}}\n"
        )
    }

    #[test]
    fn a_missed_time_is_told_from_a_missed_document() {
        assert_eq!(missed(&line("a", 6, true)), Missed::Nothing);
        let late = line("a", 6, true) + &line("b", 6, false) + &line("b", 6, false);
        assert_eq!(missed(&late), Missed::Times(vec!["b".into()]));
        assert_eq!(missed(&(late + &line("c", 5, false))), Missed::Truth);
    }

    #[test]
    fn what_was_not_played_is_no_missed_time() {
        assert_eq!(missed(""), Missed::Truth);
        assert_eq!(missed("{\"scenario\":\"a\",\"documents\":0,\"ok\":false}"), Missed::Truth);
    }
}
