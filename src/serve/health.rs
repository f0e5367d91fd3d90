//! Whether we are there; and, where that is asked, whether the broker is.

use std::sync::Arc;

use super::Site;
use super::answer::{Answer, HTML, Said, away};
use super::call::Call;

pub(super) async fn check(site: &Arc<Site>, call: &Call) -> Said {
    match site.broker_away().filter(|_| call.flag("broker").unwrap_or(false)) {
        Some(why) => Err(away(&why)),
        None => Ok(Answer::new(200, HTML, "OK")),
    }
}
