//! The dispatcher against a session that is a channel.
