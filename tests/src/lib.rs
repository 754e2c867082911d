//! end to end, crash, attack and architecture tests
