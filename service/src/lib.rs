//! what a daemon needs from its host
