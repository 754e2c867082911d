//! `std` as the rooms see it: ordered maps, and no files, threads or clocks of the real world.

pub(crate) use ::std::*;

pub(crate) mod collections {
    //! Maps in which the order is no chance.
    pub(crate) use ::std::collections::{BTreeMap, BTreeSet, VecDeque};
    pub(crate) type HashMap<K, V> = BTreeMap<K, V>;
    pub(crate) type HashSet<T> = BTreeSet<T>;
}

pub(crate) mod fs {
    //! Files of the simulated disks.
    pub(crate) use crate::disk::{
        File, OpenOptions, TryLockError, create_dir_all, read_dir, read_to_string, remove_file, rename,
    };
}

pub(crate) mod thread {
    //! Threads are tasks.
    pub(crate) use crate::rt::Thread as Builder;

    /// Only the check of a folder that lies still waits so; no story comes there.
    pub(crate) fn sleep(_: ::std::time::Duration) {}
}

pub(crate) mod sync {
    //! Channels between threads are channels between tasks.
    pub(crate) use ::std::sync::*;

    pub(crate) mod mpsc {
        use std::time::Duration;

        use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

        pub(crate) use ::std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError};

        pub(crate) struct Sender<T>(UnboundedSender<T>);

        impl<T> Clone for Sender<T> {
            fn clone(&self) -> Self {
                Self(self.0.clone())
            }
        }

        impl<T> Sender<T> {
            pub(crate) fn send(&self, value: T) -> Result<(), SendError<T>> {
                self.0.send(value).map_err(|error| SendError(error.0))
            }
        }

        pub(crate) struct Receiver<T> {
            queue: UnboundedReceiver<T>,
            ahead: Option<T>,
        }

        pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
            let (sender, queue) = unbounded_channel();
            (Sender(sender), Receiver { queue, ahead: None })
        }

        impl<T> Receiver<T> {
            /// Of the thread that does not run here.
            pub(crate) fn recv(&self) -> Result<T, RecvError> {
                Err(RecvError)
            }

            pub(crate) fn recv_timeout(&self, _: Duration) -> Result<T, RecvTimeoutError> {
                Err(RecvTimeoutError::Disconnected)
            }

            pub(crate) async fn next(&mut self) -> Option<T> {
                match self.ahead.take() {
                    Some(value) => Some(value),
                    None => self.queue.recv().await,
                }
            }

            /// Until something more comes, but not longer.
            pub(crate) async fn wait_for_more(&mut self, most: Duration) {
                if self.ahead.is_none() {
                    self.ahead = tokio::time::timeout(most, self.queue.recv()).await.ok().flatten();
                }
            }
        }

        impl<T> Receiver<T> {
            pub(crate) fn take_now(&mut self) -> Option<T> {
                self.ahead.take().or_else(|| self.queue.try_recv().ok())
            }

            pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
                Err(TryRecvError::Disconnected)
            }
        }
    }
}

/// In the order of keys.
pub(crate) fn sorted<K: Ord, V>(list: impl Iterator<Item = (K, V)>) -> Vec<(K, V)> {
    let mut list: Vec<(K, V)> = list.collect();
    list.sort_by(|a, b| a.0.cmp(&b.0));
    list
}
