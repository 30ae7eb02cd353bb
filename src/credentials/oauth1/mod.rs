//! OAuth 1.0a (RFC 5849): the three legs, and the signature of every request after them.

mod flow;
mod sign;

use crate::domain::id::random_text;
use crate::domain::outbound::OutboundRequest;
use crate::domain::time::now;

pub use flow::{Granted, Provider, Temporary, signer};
pub use sign::Signer;

impl Signer {
    /// Signs a finished request for this moment; it has to be signed again to be sent again.
    pub fn sign_now(&self, request: &mut OutboundRequest) {
        self.sign(request, &[], &moment());
    }
}

fn moment() -> sign::Moment {
    sign::Moment { nonce: random_text(24), timestamp: now().timestamp() }
}
