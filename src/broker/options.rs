//! What an application sets as `broker_transport_options`, under kombu's names, so that a person copies it from there
//! (kombu 5.7.0, `transport/redis.py`, `transport/virtual/base.py`, `transport/pyamqp.py`).

use std::path::PathBuf;

use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::tls::{CertReqs, SslOptions};
use super::url::{ApiUrl, Secret};

/// A struct of options with their defaults. Those that kombu knows and a monitor has no use for are told by name.
macro_rules! options {
    (
        $(#[$outer:meta])* $name:ident {
            $($(#[$meta:meta])* $used:ident: $type:ty = $default:expr,)*
        }
        unused { $($unused:ident,)* }
    ) => {
        $(#[$outer])*
        #[derive(Debug, Clone, PartialEq, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[$meta])* pub $used: $type,)*
            $(
                /// Known to kombu, without meaning here.
                pub $unused: Option<IgnoredAny>,
            )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($used: $default,)* $($unused: None,)* }
            }
        }

        impl $name {
            /// Names that are set and have no meaning here.
            pub fn unused(&self) -> Vec<&'static str> {
                let all = [$((stringify!($unused), self.$unused.is_some())),*];
                all.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect()
            }
        }
    };
}

options! {
    /// Options that kombu calls transport options, under its names.
    TransportOptions {
        /// Put before every key and channel.
        global_keyprefix: String = String::new(),
        /// `true` for `/{db}.`, `false` for none, or a text of its own.
        fanout_prefix: FanoutPrefix = FanoutPrefix::Use(true),
        /// Whether the routing key is part of a fanout channel's name. Events are heard either way.
        fanout_patterns: bool = true,
        sep: String = "\u{6}\u{16}".into(),
        #[serde(deserialize_with = "steps")]
        priority_steps: Vec<u8> = vec![0, 3, 6, 9],
        /// Seconds after which a message that was not acknowledged is given out again.
        #[serde(deserialize_with = "whole_seconds")]
        visibility_timeout: u64 = 3_600,
        /// The hash of messages that were not acknowledged.
        unacked_key: String = "unacked".into(),
        /// The sorted set that tells when each of them was delivered.
        unacked_index_key: String = "unacked_index".into(),
        /// How a worker chooses between its queues: `round_robin`, `sorted`, `priority`, or the application's own.
        queue_order_strategy: Option<String> = None,
        /// Seconds an answer may take.
        #[serde(deserialize_with = "limit")]
        socket_timeout: Option<f64> = None,
        /// Seconds connecting may take.
        #[serde(deserialize_with = "limit")]
        socket_connect_timeout: Option<f64> = None,
        /// The name under which the sentinels know the master.
        master_name: Option<String> = None,
        /// How to talk to the sentinels themselves.
        sentinel_kwargs: SentinelOptions = SentinelOptions::default(),
        /// The setting `broker_use_ssl`: no transport option, but it belongs to how a connection is made.
        #[serde(skip)]
        use_ssl: Option<SslOptions> = None,
        /// What stands before RedBeat's keys: the setting `redbeat_key_prefix`, no transport option either.
        #[serde(skip)]
        redbeat_key_prefix: String = crate::schedule::redbeat::PREFIX.into(),
        /// RabbitMQ's management API, where it is not in its usual place: no transport option either.
        #[serde(skip)]
        broker_api: Option<ApiUrl> = None,
    }
    unused {
        ack_emulation, unacked_mutex_key, unacked_mutex_expire, unacked_restore_limit, unacked_restore_interval,
        unacked_restore_throttle, socket_keepalive, socket_keepalive_options, max_connections, health_check_interval,
        reauth_check_interval, retry_on_timeout, client_name, min_other_sentinels, sentinel_fanout_compat,
        body_encoding, deadletter_queue, polling_interval,
        confirm_publish, login_method, read_timeout, write_timeout, client_properties,
        max_retries, interval_start, interval_step, interval_max,
    }
}

options! {
    /// What redis-py takes for connections to the sentinels themselves. The URL's password is the master's.
    SentinelOptions {
        username: Option<String> = None,
        password: Option<Secret> = None,
        /// Whether the sentinels are spoken to over TLS.
        ssl: bool = false,
        ssl_cert_reqs: CertReqs = CertReqs::Required,
        ssl_ca_certs: Option<PathBuf> = None,
        ssl_certfile: Option<PathBuf> = None,
        ssl_keyfile: Option<PathBuf> = None,
        ssl_check_hostname: Option<bool> = None,
    }
    unused {
        db, socket_timeout, socket_connect_timeout, socket_keepalive, socket_keepalive_options, socket_type,
        health_check_interval, retry_on_timeout, retry_on_error, max_connections, client_name, decode_responses,
        encoding, encoding_errors, protocol,
    }
}

impl SentinelOptions {
    /// TLS to the sentinels, if it is wanted.
    pub fn tls(&self) -> Option<SslOptions> {
        self.ssl.then(|| SslOptions {
            ssl_cert_reqs: self.ssl_cert_reqs,
            ssl_ca_certs: self.ssl_ca_certs.clone(),
            ssl_certfile: self.ssl_certfile.clone(),
            ssl_keyfile: self.ssl_keyfile.clone(),
            ssl_check_hostname: self.ssl_check_hostname,
            ..SslOptions::default()
        })
    }
}

/// See [`TransportOptions::fanout_prefix`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "takes true, false or a text")]
pub enum FanoutPrefix {
    Use(bool),
    Text(String),
}

fn steps<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let mut steps = Vec::<u8>::deserialize(deserializer)?;
    // Workers ask their lists in the order of the steps, and kombu finds a step by bisection.
    steps.sort_unstable();
    steps.dedup();
    if steps.is_empty() { Err(D::Error::custom("priority_steps takes at least one step")) } else { Ok(steps) }
}

/// Seconds that applications write as a whole number or, made from a `timedelta`, as a fraction.
fn whole_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match number(deserializer)? {
        secs if secs.is_finite() && secs >= 0.0 => Ok(secs as u64),
        _ => Err(D::Error::custom("takes seconds, not below zero")),
    }
}

fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    match number(deserializer)? {
        secs if secs.is_finite() && secs > 0.0 => Ok(Some(secs)),
        _ => Err(D::Error::custom("takes seconds, above zero")),
    }
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "takes seconds, as a number")]
    enum Number {
        Whole(i64),
        Fraction(f64),
    }
    Ok(match Number::deserialize(deserializer)? {
        Number::Whole(n) => n as f64,
        Number::Fraction(n) => n,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TransportOptions, String> {
        toml::from_str(text).map_err(|e: toml::de::Error| e.message().to_owned())
    }

    #[test]
    fn kombus_names_are_taken_and_those_without_meaning_told() {
        let options = read(
            "global_keyprefix = \"shop:\"\nvisibility_timeout = 43200.0\npriority_steps = [9, 0, 0, 5]\n\
             socket_timeout = 3\nretry_on_timeout = true\nsocket_keepalive_options = { a = 1 }\nmax_connections = 20\n\
             fanout_prefix = \"x.\"\nsentinel_kwargs = { password = \"hunter2\", ssl = true, socket_timeout = 1 }\n",
        )
        .expect("valid");
        assert_eq!((options.visibility_timeout, options.priority_steps.as_slice()), (43_200, [0, 5, 9].as_slice()));
        assert_eq!(options.unused(), ["socket_keepalive_options", "max_connections", "retry_on_timeout"]);
        assert_eq!(options.sentinel_kwargs.unused(), ["socket_timeout"]);
        assert!(options.sentinel_kwargs.tls().is_some() && options.socket_timeout == Some(3.0));
        assert!(!format!("{options:?}").contains("hunter2"));
    }

    #[test]
    fn what_nobody_knows_or_makes_no_sense_is_refused() {
        for (text, why) in [
            ("master_nam = \"m\"", "unknown field `master_nam`"),
            ("sentinel_kwargs = { pasword = \"m\" }", "unknown field `pasword`"),
            ("priority_steps = []", "at least one step"),
            ("visibility_timeout = -5", "not below zero"),
            ("socket_timeout = 0", "above zero"),
            ("socket_timeout = \"x\"", "takes seconds, as a number"),
        ] {
            let said = read(text).expect_err(text);
            assert!(said.contains(why), "{said}");
        }
    }
}
