//! What is remembered, who asks, and what they are answered: decisions without effects.

pub(crate) mod credentials;
pub(crate) mod decide;
pub(crate) mod inode;
