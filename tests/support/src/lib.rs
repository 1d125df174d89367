//! What the tests, the benchmarks and the demo share. Nothing here depends on
//! the library under test.
//!
//! | module | what |
//! |---|---|
//! | [`cargo`] | the workspace, the target directory, artifacts built by cargo |
//! | [`process`] | descriptors, threads, memory and processor time of this process |
//! | [`time`] | waiting for a condition, timing, medians |
//! | [`namespace`] | networks and files of a process's own |
//! | [`trace`] | system calls of another process |
//! | [`callgrind`] | instructions of another process |
//! | [`size`] | what the archive adds to a C program |

pub mod callgrind;
pub mod cargo;
pub mod namespace;
pub mod process;
pub mod size;
pub mod time;
pub mod trace;
