//! `natrail log` as a process, on logs that the test writes as the daemons do.

mod cat;
mod common;
mod look;
