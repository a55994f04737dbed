//! What Linux numbers and lays out: calls, filters, registers, answers.

pub(crate) mod calls;
pub(crate) mod filter;
pub(crate) mod registers;
pub(crate) mod stat;
