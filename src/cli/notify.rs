//! Telling systemd that a service is ready and alive (`sd_notify(3)`): a datagram to the socket it names.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Says something, such as `READY=1`, if systemd listens.
pub fn say(what: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let path = path.to_string_lossy();
    let to = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&*path),
    };
    let sent = to.and_then(|to| UnixDatagram::unbound()?.send_to_addr(what.as_bytes(), &to));
    if let Err(error) = sent {
        tracing::warn!("can't tell systemd {what}: {error}");
    }
}

/// How often it wants to hear that we are alive, if it does: half of the time after which it gives us up.
pub fn watchdog() -> Option<Duration> {
    let micros: u64 = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    let pid = std::env::var("WATCHDOG_PID").ok();
    let ours = pid.is_none_or(|pid| pid.parse() == Ok(std::process::id()));
    (ours && micros > 0).then(|| Duration::from_micros((micros / 2).max(1)))
}
