//! Events on their way to open sockets (`triggers.subscribe`).
//!
//! | module | knows |
//! |---|---|
//! | `channel` | which channels a project has |
//! | `sign` | who may listen to them |
//! | `access` | what clients are told to connect to |
//! | `payload` | an event in the words of every client |
//! | `message` | how it is cut and framed |
//! | `hub` | the sockets of this replica |
//! | `listen` | hearing of events, also of those that were missed |
//! | `relay` | publishing them through a service instead |

mod access;
mod channel;
mod hub;
mod listen;
mod message;
mod payload;
mod relay;
mod sign;

pub use access::{Access, Client, access};
pub use channel::Channel;
pub use hub::{Burst, Ended, Full, Hub, Seat};
pub use sign::{auth, verify};
