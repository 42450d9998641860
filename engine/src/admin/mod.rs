//! What is done to a database beside reading and writing it: [`verify`] checks it, [`checkpoint`]
//! copies it, [`repair`] saves what is sound of a damaged one.

pub(crate) mod checkpoint;
pub(crate) mod repair;
pub(crate) mod verify;
