//! Ways to connect that fail, or give us less than all: one clear sentence each, and a screen for what still works.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flower_tui::celery::pidbox::{Method, Request};
use futures_util::StreamExt;
use redis::Commands;

use super::cluster::{Redis, flower, free_port, wait_for};
use super::pty::Screen;
use crate::contract::redis::{Pki, Sentinels, open};

/// Writes a file that nobody else can read.
fn private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("made private");
}

/// Exit status and what was said, with a config file.
fn status(config: &str, arguments: &[&str]) -> (i32, String) {
    let home = tempfile::tempdir().expect("temp");
    let path = home.path().join("c.toml");
    private(&path, config);
    let mut command = flower(arguments, home.path());
    let output = command.arg("status").env("FLOWER_TUI_CONFIG", &path).output().expect("runs");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(!said.contains("hunter2"), "{said}");
    (output.status.code().expect("exited"), said)
}

fn assert_refused(config: &str, url: &str, words: &[&str]) {
    let (code, said) = status(config, &["-b", url]);
    let usage = words.first().is_some_and(|word| word.starts_with("can't read /"));
    assert_eq!(code, if usage { 2 } else { 3 }, "{url}: {said}");
    assert_eq!(said.lines().count(), 1, "one line: {said}");
    for word in words {
        assert!(said.contains(word), "{word} in {said}");
    }
}

/// A folder of its own for each set of certificates.
fn pki(folder: &Path, name: &str, names: &[&str], expires: Option<(i32, u8, u8)>) -> Pki {
    let folder = folder.join(name);
    std::fs::create_dir(&folder).expect("made");
    Pki::make_with(&folder, names, |params| {
        if let Some((year, month, day)) = expires {
            params.not_before = rcgen::date_time_ymd(2001, 1, 1);
            params.not_after = rcgen::date_time_ymd(year, month, day);
        }
    })
}

#[test]
fn a_certificate_that_does_not_verify_is_told_in_words() {
    let folder = tempfile::tempdir().expect("temp");
    let (good, other) = (pki(folder.path(), "a", &["localhost"], None), pki(folder.path(), "b", &["localhost"], None));
    let server = good.redis(&["--tls-auth-clients", "no"]);
    let url = |port: u16, query: &str| format!("rediss://:hunter2@localhost:{port}/0?{query}");
    let wrong = url(server.port, &format!("ssl_ca_certs={}", other.ca));
    let not_in = format!("{} (ssl_ca_certs) does not hold the certificate of the CA", other.ca);
    assert_refused("", &wrong, &[&not_in]);
    let (_, said) = status("", &["-b", &wrong]);
    assert!(!said.contains("broker_use_ssl sets"), "the file is named already: {said}");
    assert_refused("", &url(server.port, ""), &["signed by nobody we know", "ssl_ca_certs"]);
    let missing = url(server.port, "ssl_ca_certs=/nowhere/ca.pem");
    assert_refused("", &missing, &["can't read /nowhere/ca.pem (ssl_ca_certs): No such file"]);
    let plain = format!("redis://localhost:{}/0", server.port);
    assert_refused("", &plain, &["does it want TLS"]);
    let not_tls = Redis::start(&[]);
    assert_refused("", &url(not_tls.port, "ssl_cert_reqs=none"), &["no TLS connection"]);

    let elsewhere = pki(folder.path(), "c", &["cache.example"], None);
    let server = elsewhere.redis(&["--tls-auth-clients", "no"]);
    let plain = format!("rediss://localhost:{}/0", server.port);
    let ca = format!("ssl_ca_certs={}", elsewhere.ca);
    assert_refused("", &format!("{plain}?{ca}"), &["its certificate is for cache.example, not for localhost"]);
    for query in [format!("{ca}&ssl_check_hostname=false"), "ssl_cert_reqs=none".to_owned()] {
        let (code, said) = status("", &["-b", &format!("{plain}?{query}")]);
        assert_eq!(code, 0, "{query}: {said}");
    }
    let profile = format!(
        "[profiles.p]\nbroker = \"redis://localhost:{}/0\"\n[profiles.p.broker_use_ssl]\nssl_ca_certs = {:?}\n\
         ssl_check_hostname = false\n",
        server.port, elsewhere.ca
    );
    assert_eq!(status(&profile, &["-P", "p"]).0, 0, "the setting makes it TLS");

    let expired = pki(folder.path(), "d", &["localhost"], Some((2002, 3, 4)));
    let server = expired.redis(&["--tls-auth-clients", "no"]);
    let old = format!("rediss://localhost:{}/0?ssl_ca_certs={}", server.port, expired.ca);
    assert_refused("", &old, &["its certificate expired on 2002-03-04"]);

    let server = good.redis(&["--tls-auth-clients", "yes"]);
    let unknown = format!("rediss://localhost:{}/0?ssl_ca_certs={}", server.port, good.ca);
    assert_refused("", &unknown, &["it wants a certificate of ours", "ssl_certfile"]);
}

#[test]
fn sentinels_that_lead_nowhere_are_told_in_one_sentence() {
    let sentinels = Sentinels::start();
    let config = |options: &str| {
        format!(
            "profile = \"p\"\n[profiles.p]\nbroker = {:?}\n[profiles.p.transport_options]\n{options}",
            sentinels.url()
        )
    };
    let refused = |options: &str, words: &[&str]| {
        let (code, said) = status(&config(options), &[]);
        assert_eq!((code, said.lines().count()), (3, 1), "{said}");
        words.iter().for_each(|word| assert!(said.contains(word), "{word} in {said}"));
    };
    let password = "sentinel_kwargs = { password = \"hunter2-sentinel\" }\n";
    refused(&format!("master_name = \"other\"\n{password}"), &["know no master other, they watch mymaster"]);
    refused("master_name = \"mymaster\"\n", &["refused us", "NOAUTH", "sentinel_kwargs"]);
    refused("sentinel_kwargs = { password = \"wrong\" }\n", &["refused us", "Password authentication failed"]);
    let (code, said) = status(&config(password), &[]);
    assert_eq!(code, 0, "where there is one master, it needs no name: {said}");
    assert!(said.contains(&format!("mymaster → {}", sentinels.master())), "{said}");
    let nobody = format!("sentinel://:hunter2@127.0.0.1:{};127.0.0.1:{}/0", free_port(), free_port());
    assert_refused("", &nobody, &["none of the 2 sentinels leads on", "connection refused"]);
    let redis = Redis::start(&[]);
    assert_refused("", &format!("sentinel://127.0.0.1:{}", redis.port), &["is no sentinel"]);
}

#[test]
fn the_screen_follows_the_master() {
    let mut sentinels = Sentinels::start();
    let home = tempfile::tempdir().expect("temp");
    let path = home.path().join("c.toml");
    let options = sentinels.options();
    let profile = format!("[profiles.p]\nbroker = {:?}\n[profiles.p.transport_options]\n{options}", sentinels.url());
    private(&path, &format!("profile = \"p\"\n{profile}"));
    let mut screen = Screen::start(&flower(&["-c", path.to_str().expect("path")], home.path()), 160, 36);
    let first = sentinels.master();
    screen.wait(&format!("sentinel mymaster → {first}"));
    // It is told to step back, and lives on as a replica.
    sentinels.swap();
    let second = sentinels.master();
    screen.wait(&format!("sentinel mymaster → {second}"));
    screen.wait("● live");
    // This one ends without a word.
    sentinels.fail_over();
    let text = screen.wait(&format!("sentinel mymaster → {}", sentinels.master()));
    assert!(!text.contains("hunter2"), "{text}");
    screen.wait("● live");
    screen.keys("q");
    assert_eq!(screen.end(), (0, true));
}

/// A Redis with a user `few` who may do what is said, and a queue that waits.
fn with_user(rights: &str) -> (Redis, String) {
    let redis = Redis::start(&[]);
    let mut connection = redis.connection();
    let mut make = redis::cmd("ACL");
    make.arg("SETUSER").arg("few").arg("on").arg(">hunter2").arg(rights.split_whitespace().collect::<Vec<_>>());
    make.exec(&mut connection).expect("made");
    let _: i64 = connection.sadd("_kombu.binding.celery", "celery\u{6}\u{16}\u{6}\u{16}celery").expect("bound");
    let _: i64 = connection.lpush("celery", &["{}", "{}", "{}"]).expect("pushed");
    let url = format!("redis://few:hunter2@127.0.0.1:{}/0", redis.port);
    (redis, url)
}

#[test]
fn without_publish_the_screen_is_read_only_and_says_why() {
    let (redis, url) = with_user("~* &* +@all -publish");
    let home = tempfile::tempdir().expect("temp");
    let mut screen = Screen::start(&flower(&["-b", &url], home.path()), 120, 36);
    screen.wait("all tasks");
    let text = screen.wait("READ-ONLY: no permission");
    assert!(text.contains("● live"), "{text}");
    screen.keys("4");
    let text = screen.wait("no permission to PUBLISH to /0.celery.pidbox: ");
    assert!(text.contains("celery") && text.contains("3 queued"), "{text}");
    // Given the permission, it is read-only no longer.
    let mut connection = redis.connection();
    redis::cmd("ACL").arg("SETUSER").arg("few").arg("+publish").exec(&mut connection).expect("given");
    wait_for("no READ-ONLY", || {
        screen.keys("\x12");
        std::thread::sleep(Duration::from_millis(300));
        (!screen.text().contains("READ-ONLY")).then_some(())
    });
    screen.keys("q");
    assert_eq!(screen.end(), (0, true));
}

#[test]
fn what_is_not_permitted_takes_nothing_else_with_it() {
    let (_redis, url) = with_user("~* resetchannels +@all");
    let (code, said) = status("", &["-b", &url]);
    assert_eq!(code, 0, "{said}");
    for what in
        ["no permission to PSUBSCRIBE /0.celeryev/*", "no permission to PUBLISH to /0.celery.pidbox", "celery  3"]
    {
        assert!(said.contains(what), "{what} in {said}");
    }
    let home = tempfile::tempdir().expect("temp");
    let screen = Screen::start(&flower(&["-b", &url], home.path()), 120, 36);
    let text = screen.wait("NO EVENTS: no permission");
    assert!(text.contains("● live") && text.contains("3 queued"), "{text}");

    let (_redis, url) = with_user("~* resetchannels &/0.celeryev/* &/0.celery.pidbox +@all");
    let (code, said) = status("", &["-b", &url]);
    assert!(code == 0 && !said.contains("lacking"), "{said}");

    // One queue of many, and nothing to find it by.
    let (_redis, url) = with_user("~celery ~unacked* &* +@all -scan -info -ping -client");
    let (code, said) = status("", &["-b", &url]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("no permission to SCAN"), "{said}");
    let denied = flower(&["-b", &url, "queue", "celery", "--json"], home.path()).output().expect("runs");
    assert_eq!(denied.status.code(), Some(0), "{}", String::from_utf8_lossy(&denied.stderr));
    let queue: serde_json::Value = serde_json::from_slice(&denied.stdout).expect("JSON");
    assert_eq!(queue["ready"], 3, "{queue}");
}

/// A way to a server that can be cut without either side being told.
struct Wire {
    port: u16,
    cut: Arc<AtomicBool>,
}

impl Wire {
    fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = listener.local_addr().expect("address").port();
        let cut = Arc::new(AtomicBool::new(false));
        let is_cut = cut.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().expect("cloned"), to.try_clone().expect("cloned"));
                    let is_cut = is_cut.clone();
                    std::thread::spawn(move || pass(from, to, &is_cut));
                }
            }
        });
        Self { port, cut }
    }
}

/// Passes bytes on, and swallows them once the wire is cut.
fn pass(mut from: TcpStream, mut to: TcpStream, is_cut: &AtomicBool) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if !is_cut.load(Ordering::Relaxed) && to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_on_which_nothing_comes_back_is_found_out() {
    const FOUND_OUT: Duration = Duration::from_secs(20);
    let redis = Redis::start(&[]);
    let wire = Wire::to(redis.port);
    let broker = open(&format!("redis://127.0.0.1:{}/0", wire.port), "");
    let mut events = broker.events().await.expect("subscribed");
    broker.health().await.expect("it answers");
    let ping = Request::to_all(Method::Ping);
    // Leaves a connection behind that waits for the next request.
    broker.control(&ping, &[], Duration::from_millis(100)).await.expect("sent");
    wire.cut.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    let (ended, health, control) = tokio::join!(
        tokio::time::timeout(FOUND_OUT, events.next()),
        tokio::time::timeout(FOUND_OUT, broker.health()),
        tokio::time::timeout(FOUND_OUT, broker.control(&ping, &[], Duration::from_secs(1))),
    );
    assert!(ended.expect("the stream ends in time").is_none());
    let error = health.expect("an answer in time").expect_err("nothing came back");
    assert!(error.to_string().contains("no answer"), "{error}");
    assert!(control.expect("an answer in time").is_err());
    assert!(begun.elapsed() < FOUND_OUT);
    wire.cut.store(false, Ordering::Relaxed);
    broker.health().await.expect("a new connection answers");
}
