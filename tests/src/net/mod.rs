//! Networks of our own for the NAT lab and the bench: namespaces, and a line in user space where the kernel has no netem. Root
//! only, Linux only.

pub mod hop;
pub mod netns;
pub mod sys;
