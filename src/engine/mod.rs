//! The engine: jobs, hosts, connections, deadlines, limits. A function of (inputs, time, seed).

pub mod budget;
pub mod limit;
pub mod pace;
