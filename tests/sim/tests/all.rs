//! The simulation's own tests, and stories that once found a defect.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use inkwire_sim::{Story, finds, mutant, play, play_broken, shrink};

#[test]
fn the_same_seed_is_the_same_run_and_another_seed_is_another() {
    for seed in 1..=8 {
        let story = Story::of(seed);
        let (first, second) = (play(&story), play(&story));
        assert_eq!(
            (first.trace, first.packets, first.facts),
            (second.trace, second.packets, second.facts),
            "{seed}"
        );
        assert_ne!(first.trace, play(&Story::of(seed + 100)).trace);
    }
}

#[test]
fn a_run_does_not_depend_on_the_runs_before_it() {
    let alone = std::thread::spawn(|| play(&Story::of(5)).trace).join().unwrap();
    play(&Story::of(4));
    assert_eq!(play(&Story::of(5)).trace, alone);
}

/// What the simulation found once is never found again. Each file is a story as `cargo xtask sim` prints it.
#[test]
fn kept_stories_hold() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/kept");
    let mut told = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let story: Story = serde_json::from_str(&text).expect("a story");
        let verdict = play(&story);
        assert_eq!(verdict.broken(), None, "{}", path.display());
        told += 1;
    }
    assert!(told > 0, "there are no stories");
}

#[test]
fn a_broken_rule_is_found_and_its_story_made_short() {
    for name in ["ack-before-sync", "event-lost"] {
        assert!(mutant::all().any(|(known, _)| known == name));
        let (seed, rule) = finds(name, 200).expect("it is found");
        let story = Story::of(seed);
        let (short, verdict) = shrink(&story, 60, |story| play_broken(story, name));
        assert!(short.steps() < story.steps(), "{name}: {} steps", short.steps());
        assert_eq!(verdict.broken().map(|(rule, _)| rule), Some(rule));
    }
}
