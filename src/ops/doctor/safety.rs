//! Who else can get in, and who can listen: passwords, TLS, open doors, files that others can read, copies.

use std::net::IpAddr;
use std::time::Duration;

use super::{Answers, critical, ok, unknown, warning};
use crate::broker::{BrokerUrl, Secret};
use crate::human;
use crate::ops::check::Finding;

/// Passwords that are tried first.
const WEAK: [&str; 14] = [
    "guest", "admin", "admin123", "password", "passwd", "redis", "rabbitmq", "celery", "secret", "changeme",
    "foobared", "test", "root", "123456",
];
/// A copy of the history that is older is none.
const COPIED: Duration = Duration::from_secs(2 * 86_400);

/// How far away the broker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// This machine.
    Local,
    /// A private network, as far as the address tells; of a name nothing is known.
    Private,
    /// An address that anybody in the world may have.
    Public,
}

impl Reach {
    fn of(url: &BrokerUrl) -> Self {
        let far = |host: &str| match host.parse::<IpAddr>() {
            Ok(address) if address.is_loopback() => Reach::Local,
            Ok(IpAddr::V4(address)) if address.is_private() || address.is_link_local() => Reach::Private,
            Ok(IpAddr::V6(address)) if address.is_unique_local() || address.is_unicast_link_local() => Reach::Private,
            Ok(_) => Reach::Public,
            Err(_) if host == "localhost" => Reach::Local,
            Err(_) => Reach::Private,
        };
        url.hosts().into_iter().map(far).max().unwrap_or(Reach::Local)
    }

    fn words(self) -> &'static str {
        match self {
            Reach::Local => "on this machine",
            Reach::Private => "over the network",
            Reach::Public => "over a public address",
        }
    }
}

pub(super) fn all(answers: &Answers) -> Vec<Finding> {
    let mut findings = vec![password(answers), door(answers), tls(answers), config(answers)];
    findings.extend(history(answers));
    findings
}

fn is_weak(user: Option<&str>, password: &Secret) -> bool {
    let password = password.reveal();
    user == Some(password) || WEAK.contains(&password.to_lowercase().as_str()) || password.chars().count() < 6
}

fn password(answers: &Answers) -> Finding {
    const CHECK: &str = "password";
    const ADVICE: &str = "Choose a long random one: `openssl rand -base64 24`";
    let reach = Reach::of(&answers.url);
    let (user, password) = answers.url.login();
    match password {
        None => match reach {
            Reach::Local => ok(CHECK, "none is used, on this machine"),
            _ => critical(CHECK, format!("none is used, {}", reach.words()), ADVICE),
        },
        Some(password) if is_weak(user, password) => {
            let text = format!("it is one of those that are tried first, {}", reach.words());
            if reach == Reach::Local { warning(CHECK, text, ADVICE) } else { critical(CHECK, text, ADVICE) }
        }
        Some(_) => ok(CHECK, "it is none of the usual ones"),
    }
}

/// Whether the broker lets in who knows no password.
fn door(answers: &Answers) -> Finding {
    const CHECK: &str = "open";
    let redis = matches!(answers.url, BrokerUrl::Redis(_));
    let (who, advice) = match redis {
        true => {
            ("without a password", "Set requirepass, or users of the ACL and `user default off`; bind to what needs it")
        }
        false => ("as guest with the password guest", "Delete that user: `rabbitmqctl delete_user guest`"),
    };
    let elsewhere = Reach::of(&answers.url) != Reach::Local
        || (answers.setup.protected == Some(false) && answers.setup.bind.as_deref().is_some_and(listens_elsewhere));
    match answers.open {
        None => unknown(CHECK, "whether it lets in strangers could not be tried"),
        Some(false) => ok(CHECK, format!("it lets nobody in {who}")),
        Some(true) if elsewhere => {
            let text = format!("everybody who reaches it gets in {who}, reads all tasks and can have any carried out");
            critical(CHECK, text, advice)
        }
        Some(true) => warning(CHECK, format!("everybody on this machine gets in {who}"), advice),
    }
}

/// Whether a list of addresses is more than this machine; an empty one is all there are.
fn listens_elsewhere(bind: &str) -> bool {
    let local = |word: &str| {
        let word = word.trim_start_matches('-');
        word == "localhost" || word.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    bind.trim().is_empty() || !bind.split_whitespace().all(local)
}

fn tls(answers: &Answers) -> Finding {
    const CHECK: &str = "tls";
    let reach = Reach::of(&answers.url);
    let text = format!("none, {}: password and tasks can be read on the way", reach.words());
    match (answers.tls, reach) {
        (true, _) => ok(CHECK, "in use"),
        (false, Reach::Local) => ok(CHECK, "none, and none is needed on this machine"),
        (false, Reach::Private) => warning(CHECK, text, "Use rediss:// or amqps://, or a tunnel"),
        (false, Reach::Public) => critical(CHECK, text, "Use rediss:// or amqps://, or a tunnel"),
    }
}

fn config(answers: &Answers) -> Finding {
    match &answers.exposed {
        None => ok("config-file", "holds no password that others can read"),
        Some(path) => {
            let text = format!("{} holds a password and can be read by others", path.display());
            critical("config-file", text, format!("chmod 600 {}", path.display()))
        }
    }
}

fn history(answers: &Answers) -> Vec<Finding> {
    let Some(history) = &answers.history else { return vec![ok("history", "none is kept")] };
    let path = history.path.display();
    let readable = match history.open {
        true => warning("history", format!("{path} can be read by others"), format!("chmod 600 {path}")),
        false => ok("history", format!("{path} is its owner's alone")),
    };
    let advice = "`flower-tui history backup FILE` copies it while it is written; config/systemd has a timer for that";
    let copied = match &history.copied {
        Err(why) => unknown("backup", why),
        Ok(None) => warning("backup", "the history was never copied", advice),
        Ok(Some(at)) => {
            let age = answers.now.since(*at);
            let text = format!("the history was copied {} ago", human::about(age.as_secs()));
            if age > COPIED { warning("backup", text, advice) } else { ok("backup", text) }
        }
    };
    vec![readable, copied]
}

#[cfg(test)]
mod tests {
    use super::super::History;
    use super::*;
    use crate::ops::check::Status;

    fn assert(finding: &Finding, status: Status, words: &str) {
        assert!(finding.status == status && finding.text.contains(words), "{finding:?}");
    }

    #[test]
    fn a_door_that_is_open_is_the_worse_the_more_can_reach_it() {
        let mut answers = Answers::of("redis://localhost");
        answers.open = Some(true);
        assert(&door(&answers), Status::Warning, "everybody on this machine gets in without a password");
        (answers.setup.protected, answers.setup.bind) = (Some(false), Some("*".into()));
        assert(&door(&answers), Status::Critical, "everybody who reaches it gets in");
        answers.setup.protected = Some(true);
        assert(&door(&answers), Status::Warning, "on this machine");
        assert(&door(&Answers { open: Some(true), ..Answers::of("redis://10.0.0.1") }), Status::Critical, "without");
        assert(&door(&Answers::of("amqp://u:pw@rabbit")), Status::Ok, "as guest with the password guest");
    }

    #[test]
    fn passwords_and_tls_are_judged_by_the_way_to_the_broker() {
        for (url, password_is, tls_is) in [
            ("redis://localhost", Status::Ok, Status::Ok),
            ("redis://:redis@localhost", Status::Warning, Status::Ok),
            ("redis://:k3Jh-77fNq2x@10.0.0.1", Status::Ok, Status::Warning),
            ("redis://cache-1", Status::Critical, Status::Warning),
            ("amqp://guest:guest@203.0.113.8", Status::Critical, Status::Critical),
        ] {
            let answers = Answers::of(url);
            assert_eq!((password(&answers).status, tls(&answers).status), (password_is, tls_is), "{url}");
        }
        let safe = Answers { tls: true, ..Answers::of("redis://203.0.113.8") };
        assert(&tls(&safe), Status::Ok, "in use");
    }

    #[test]
    fn a_history_that_was_not_copied_for_long_is_told() {
        let copied = |ago: Option<u64>| {
            let mut answers = Answers::of("redis://h");
            let at = ago.map(|secs| answers.now - Duration::from_secs(secs));
            answers.history = Some(History { path: "/h.db".into(), open: true, copied: Ok(at) });
            history(&answers)
        };
        assert(&copied(None)[0], Status::Warning, "/h.db can be read by others");
        assert(&copied(None)[1], Status::Warning, "was never copied");
        assert(&copied(Some(3_600))[1], Status::Ok, "copied 1h 00m ago");
        assert(&copied(Some(260_000))[1], Status::Warning, "copied 3d");
    }

    #[test]
    fn how_far_away_a_broker_is_goes_by_its_farthest_address() {
        let reach = |text: &str| Reach::of(&BrokerUrl::parse(text).unwrap());
        for (text, want) in [
            ("redis://localhost", Reach::Local),
            ("redis://127.8.0.1", Reach::Local),
            ("redis://[::1]", Reach::Local),
            ("unix:///run/redis.sock", Reach::Local),
            ("redis://10.2.3.4", Reach::Private),
            ("redis://cache-1", Reach::Private),
            ("redis://203.0.113.8", Reach::Public),
            ("amqp://a:b@127.0.0.1/;amqp://a:b@198.51.100.9/", Reach::Public),
        ] {
            assert_eq!(reach(text), want, "{text}");
        }
    }

    #[test]
    fn weak_passwords_are_the_usual_ones_short_ones_and_the_users_name() {
        let weak = |user, password: &str| is_weak(user, &Secret::new(password));
        assert!(weak(None, "Admin123") && weak(None, "x7&Zq") && weak(Some("shopworker"), "shopworker"));
        assert!(!weak(Some("shopworker"), "k3Jh-77fNq2x"));
    }

    #[test]
    fn an_empty_list_of_addresses_is_all_of_them() {
        assert!(listens_elsewhere("") && listens_elsewhere("127.0.0.1 10.0.0.5") && listens_elsewhere("*"));
        assert!(!listens_elsewhere("127.0.0.1 -::1"));
    }
}
