//! Logging in: how requests are authorized ([`authorization`]) with what was found to do so.

mod authorization;
mod token;

pub(crate) use authorization::{Authorizer, Purpose};
