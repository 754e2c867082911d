//! the Inkwire broker

mod documents;
mod jobs;
mod store;

mod sessions {
    mod link;
}
