//! How a step ends.

use std::fmt::Display;

use serde_json::{Map, Value};

/// What a step expected and did not see.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What should have been.
    pub expected: String,
    /// What was.
    pub seen: String,
}

impl Failure {
    /// A failure.
    pub fn new(expected: impl Into<String>, seen: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            seen: seen.into(),
        }
    }
}

/// Turns an error into a [`Failure`] that says what was expected instead.
pub trait OrFail<T> {
    /// The value, or a failure with the error as what was seen.
    fn or_fail(self, expected: impl Into<String>) -> Result<T, Failure>;
}

impl<T, E: Display> OrFail<T> for Result<T, E> {
    fn or_fail(self, expected: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(expected, error.to_string()))
    }
}

/// Fails unless the condition holds.
pub fn ensure(
    held: bool,
    expected: impl Into<String>,
    seen: impl Into<String>,
) -> Result<(), Failure> {
    if held {
        Ok(())
    } else {
        Err(Failure::new(expected, seen))
    }
}

/// Fails unless what was seen is what was expected of `subject`.
pub fn ensure_same<T: PartialEq + Display>(
    subject: &str,
    expected: &T,
    seen: &T,
) -> Result<(), Failure> {
    ensure(
        expected == seen,
        format!("{subject} {expected}"),
        format!("{subject} {seen}"),
    )
}

/// A step that did not fail.
pub struct Done {
    /// What was seen, or why the step was skipped.
    pub detail: String,
    /// Whether the step could not be played.
    pub skipped: bool,
    /// What was seen, for machines.
    pub facts: Map<String, Value>,
    /// The bytes of a socket other than the client's.
    pub traffic: Option<Traffic>,
}

/// Bytes that crossed the v-table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// From the client.
    pub sent: u64,
    /// To the client.
    pub received: u64,
}

impl Done {
    /// The step held; `detail` says what was seen.
    pub fn held(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            skipped: false,
            facts: Map::new(),
            traffic: None,
        }
    }

    /// The step could not be played here.
    pub fn skipped(reason: impl Into<String>) -> Self {
        Self {
            skipped: true,
            ..Self::held(reason)
        }
    }

    /// Adds a fact for machines.
    pub fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// The bytes of a socket other than the client's.
    pub fn traffic(mut self, traffic: Traffic) -> Self {
        self.traffic = Some(traffic);
        self
    }
}

/// What every step returns.
pub type Outcome = Result<Done, Failure>;
