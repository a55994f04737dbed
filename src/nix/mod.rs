//! What Nix hands over: the attributes of a derivation, the closure graph, store paths, and the
//! archive format whose hash Nix records for each store path.

mod attrs;
pub mod base32;
mod closure;
pub mod nar;
mod request;
mod store;

pub use attrs::{Attrs, find_attrs_file};
pub use closure::{Closure, ClosureEntry};
pub use request::{ImageRequest, PermsRule, Request, StrategyName};
pub use store::{Store, StorePath};
