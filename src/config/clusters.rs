//! The clusters that a config file has profiles of, as they can be chosen from.

use super::file::File;
use super::ui;
use crate::broker::BrokerUrl;

/// A profile to choose.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    pub name: String,
    /// Where its broker is, without the password; or why the profile can't be used.
    pub broker: Result<String, String>,
    pub color: Option<String>,
    pub read_only: bool,
}

/// All profiles, by name.
pub(super) fn of(file: &File) -> Vec<Cluster> {
    let clusters = file.profiles.iter().map(|(name, profile)| {
        let broker = match (&profile.broker_file, &profile.broker) {
            (Some(path), _) if path == "-" => Err("its URL comes from standard input".into()),
            (Some(path), _) => match std::fs::File::open(path) {
                Ok(_) => Ok(format!("the URL in {path}")),
                Err(error) => Err(format!("can't read {path}: {error}")),
            },
            (None, Some(text)) => BrokerUrl::parse(text.trim()).map(|url| url.to_string()).map_err(|e| e.to_string()),
            (None, None) => Err("it names no broker".into()),
        };
        let read_only = profile.read_only.or(file.read_only).unwrap_or(false);
        Cluster { name: name.clone(), broker, color: ui::value(&profile.color), read_only }
    });
    clusters.collect()
}
