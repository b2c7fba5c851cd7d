//! The whole resolver in virtual time, against servers that are closures.

mod failing;
mod hostile;
mod names;
mod swarm;
mod world;
