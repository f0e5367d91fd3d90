//! Named situations.

/// What kind of day the cluster has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Scenario {
    /// A mixed load with a task that fails now and then, retries, and a long one.
    #[default]
    Busy,
    /// Everything succeeds.
    Healthy,
    /// More comes in than is worked off.
    Backlog,
    /// Workers send no task events.
    Quiet,
    /// Names and texts that try to harm the terminal.
    Hostile,
}

/// How the simulated cluster is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub seed: u64,
    pub scenario: Scenario,
    /// Tasks of the quarter of an hour before the start.
    pub tasks: u32,
    /// New tasks a second from the start on.
    pub rate: f64,
    pub workers: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 7, scenario: Scenario::Busy, tasks: 12_000, rate: 14.0, workers: 5 }
    }
}
