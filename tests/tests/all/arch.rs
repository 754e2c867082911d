//! The architecture, held by machine: who may see whom, and what pure files may not touch.
