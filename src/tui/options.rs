//! How a person wants the screen.

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use regex_lite::Regex;

use super::header::Profile;
use super::keys::Keys;
use super::theme::{Role, Theme};
use crate::feed::replay::Controls;

/// See the module.
#[derive(Clone, Debug)]
pub struct Options {
    pub theme: Theme,
    pub ascii: bool,
    pub zone: TimeZone,
    pub times: Times,
    pub profile: Profile,
    pub read_only: bool,
    /// What whoever looks may do; `None` is somebody at this machine, who may do everything.
    pub role: Option<crate::ops::Role>,
    /// Show what was tried until the broker is reached for the first time.
    pub welcome: bool,
    pub keys: Keys,
    /// Columns of the list of tasks, in their order, where they were chosen.
    pub columns: Option<Vec<String>>,
    pub filters: Vec<SavedFilter>,
    /// What a person calls the changing part of a worker's name.
    pub worker_groups: Vec<Regex>,
    /// What to offer to be kept in the settings: the broker that was typed, and where it would be kept.
    pub offer: Option<Offer>,
    /// Rows of the pane below a list, where they were chosen.
    pub split: Option<u16>,
    /// Frames a second at most.
    pub fps: u32,
    /// Pause between two frames that only bring new data, at least.
    pub refresh: Option<Duration>,
    /// What can be switched to.
    pub clusters: Vec<Cluster>,
    /// Where the config file is, or would be.
    pub config: Option<String>,
    /// The knobs of the recording that is played: it is the past, and nothing can be sent.
    pub replay: Option<Controls>,
    /// Something to say at the start.
    pub notice: Option<String>,
    /// The history file, where one is kept.
    pub history: Option<PathBuf>,
}

/// A cluster that can be switched to.
#[derive(Clone, PartialEq, Debug)]
pub struct Cluster {
    pub name: String,
    /// Where its broker is, without the password; or why it can't be used.
    pub broker: Result<String, String>,
    pub color: Option<Role>,
    pub read_only: bool,
}

/// A broker that was typed, and could be kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// Without its password.
    pub url: String,
    /// The file of the settings.
    pub file: String,
}

/// How times are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Times {
    /// How long ago.
    Relative,
    /// By the clock on the wall.
    #[default]
    Absolute,
    /// By the clock in Greenwich.
    Utc,
}

/// A filter with a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SavedFilter {
    pub name: String,
    pub filter: String,
    pub key: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            theme: Theme::default(),
            ascii: false,
            zone: TimeZone::UTC,
            times: Times::default(),
            profile: Profile::default(),
            read_only: false,
            role: None,
            welcome: false,
            keys: Keys::default(),
            columns: None,
            filters: Vec::new(),
            worker_groups: Vec::new(),
            offer: None,
            split: None,
            fps: 30,
            refresh: None,
            clusters: Vec::new(),
            config: None,
            replay: None,
            notice: None,
            history: None,
        }
    }
}
