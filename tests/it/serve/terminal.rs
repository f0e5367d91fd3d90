//! The screen over a WebSocket: what a visitor sees and does, who is let in, and how many for how long.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flower_tui::clock::Stamp;
use flower_tui::history::audit::Audit;
use flower_tui::serve::auth::Guard;
use flower_tui::tui::session::{Session, Wiring};
use flower_tui::tui::term::Multiplexer;
use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use ratatui::layout::Size;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{NOW, Served, Stand, basic, options};

const LIMIT: Duration = Duration::from_secs(20);
const ADMIN: (&str, &str) = ("a", "all of it mine");
const OPERATOR: (&str, &str) = ("o", "revoke it now");
const VIEWER: (&str, &str) = ("v", "look but no touch");

/// A task that runs on a worker.
fn task(id: &str, name: &str) -> Value {
    json!({
        "uuid": id, "name": name, "sent": 1_795_482_740.0, "received": 1_795_482_740.1, "started": 1_795_482_740.2,
        "worker": "w1@vm", "client": "gen1@vm", "args": "(1, 2)", "kwargs": "{}", "routing_key": "celery",
    })
}

/// A site with somebody of each role.
async fn site(more: &[(&str, &str)]) -> (Served, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("temp");
    let path = folder.path().join("users");
    std::fs::write(&path, "v:look but no touch:viewer\no:revoke it now:operator\na:all of it mine\n").expect("written");
    let mut line = vec![("users", path.to_str().expect("text"))];
    line.extend(more);
    let mut stand = Stand::new(options(&line, &[]));
    stand.tasks = vec![task("057d75cc-61b3-4cee-b3b9-2f61bdb33cfc", "tasks.long_one")];
    stand.log = Some(folder.path().join("history.db"));
    (stand.serve().await, folder)
}

/// Asks for a WebSocket; the connection if that is agreed to, else the status.
async fn ask(served: &Served, who: (&str, &str), origin: Option<&str>) -> Result<TcpStream, u16> {
    let mut stream = TcpStream::connect(served.address).await.expect("connected");
    let (name, value) = basic(who.0, who.1);
    let origin = origin.map_or(String::new(), |origin| format!("Origin: {origin}\r\n"));
    let head = format!(
        "GET /terminal?size=100x30 HTTP/1.1\r\nHost: localhost\r\n{name}: {value}\r\n{origin}Connection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("asked");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.expect("an answer"));
    }
    let answer = String::from_utf8(answer).expect("text");
    match answer.split(' ').nth(1).and_then(|status| status.parse().ok()) {
        Some(101) => {
            assert!(answer.to_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
            Ok(stream)
        }
        status => Err(status.expect("a status")),
    }
}

/// Somebody in front of a browser.
struct Visitor {
    socket: WebSocketStream<TcpStream>,
    screen: vt100::Parser,
    /// Why the server closed it.
    closed: Option<(u16, String)>,
}

impl Visitor {
    async fn comes(served: &Served, who: (&str, &str)) -> Self {
        let stream = ask(served, who, Some("http://localhost")).await.expect("let in");
        let socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        Self { socket, screen: vt100::Parser::new(30, 100, 0), closed: None }
    }

    async fn types(&mut self, keys: &str) {
        self.socket.send(Message::binary(keys.as_bytes().to_vec())).await.expect("sent");
    }

    fn shown(&self) -> String {
        self.screen.screen().contents()
    }

    /// Takes what comes until it is closed, or the screen is as wanted.
    async fn until(&mut self, wanted: impl Fn(&str) -> bool) -> bool {
        while self.closed.is_none() && !wanted(&self.shown()) {
            let Ok(message) = tokio::time::timeout(LIMIT, self.socket.next()).await else { return false };
            match message {
                Some(Ok(Message::Binary(bytes))) => {
                    self.screen.process(&bytes);
                    // As a terminal answers where its cursor is.
                    if bytes.windows(4).any(|part| part == b"\x1b[6n") {
                        self.types("\x1b[1;1R").await;
                    }
                }
                Some(Ok(Message::Close(frame))) => {
                    let frame = frame.expect("a reason");
                    self.closed = Some((frame.code.into(), frame.reason.to_string()));
                }
                Some(Ok(_)) => {}
                _ => self.closed = Some((1006, String::new())),
            }
        }
        wanted(&self.shown())
    }

    async fn sees(&mut self, text: &str) {
        let seen = self.until(|screen| screen.contains(text)).await;
        assert!(seen, "waited in vain for {text:?}, closed {:?}:\n{}", self.closed, self.shown());
    }

    /// Why it was closed.
    async fn ends(&mut self) -> (u16, String) {
        self.until(|_| false).await;
        self.closed.clone().unwrap_or_else(|| panic!("it stays open:\n{}", self.shown()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_the_page_revokes_a_task_in_the_visitor_s_name() {
    let (served, folder) = site(&[]).await;
    let mut visitor = Visitor::comes(&served, ADMIN).await;
    visitor.sees("tasks.long_one").await;
    visitor.types("x").await;
    visitor.sees("Revoke 1 task?").await;
    // It counts once it could be read.
    served.clock.set(Stamp::from_micros(NOW + 1_000_000));
    visitor.types("y").await;
    let told = [basic(ADMIN.0, ADMIN.1)];
    let end = Instant::now() + LIMIT;
    loop {
        let info = served.ask("GET", "/api/task/info/057d75cc-61b3-4cee-b3b9-2f61bdb33cfc", &told, "").await;
        if info.json()["state"] == "REVOKED" {
            break;
        }
        assert!(Instant::now() < end, "not revoked: {}\n{}", info.body, visitor.shown());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    visitor.sees("revoke").await;
    let log = Audit::in_history(&folder.path().join("history.db")).expect("log").latest(10).expect("read");
    let [row] = &log[..] else { panic!("{log:?}") };
    assert_eq!((row.user.as_str(), row.ssh.as_str(), row.via.as_str()), ("a", "127.0.0.1", "web"));
    assert_eq!(row.command, "revoke");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_visitors_have_screens_of_their_own_and_sizes_too() {
    let (served, _folder) = site(&[]).await;
    let (mut one, mut two) = (Visitor::comes(&served, ADMIN).await, Visitor::comes(&served, VIEWER).await);
    one.sees("tasks.long_one").await;
    one.types("2").await;
    one.sees("w2@vm").await;
    two.sees("tasks.long_one").await;
    assert!(!two.shown().contains("w2@vm"), "{}", two.shown());
    two.socket.send(Message::text("60x20")).await.expect("sent");
    two.screen.screen_mut().set_size(20, 60);
    two.sees("READ-ONLY").await;
    one.types("q").await;
    assert_eq!(one.ends().await.0, 4000);
    two.types("2").await;
    two.sees("w2@vm").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_holds_in_the_screen_too() {
    let (served, _folder) = site(&[]).await;
    let mut viewer = Visitor::comes(&served, VIEWER).await;
    viewer.sees("tasks.long_one").await;
    viewer.types("x").await;
    viewer.sees("the role viewer only reads").await;
    let mut operator = Visitor::comes(&served, OPERATOR).await;
    operator.sees("tasks.long_one").await;
    operator.types("2").await;
    operator.sees("w2@vm").await;
    operator.types("+").await;
    operator.sees("processes").await;
    operator.types("1\r").await;
    operator.sees("it takes the role admin, and yours is operator").await;
    let answer = served.ask("GET", "/api/worker/stats/w1@vm", &[basic(ADMIN.0, ADMIN.1)], "").await;
    assert_eq!(answer.json()["pool"]["processes"].as_array().map(Vec::len), Some(2), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_s_shell_and_files_are_out_of_reach() {
    let (served, _folder) = site(&[]).await;
    let mut visitor = Visitor::comes(&served, ADMIN).await;
    visitor.sees("tasks.long_one").await;
    visitor.types("\x1a").await;
    visitor.sees("there is no shell to go back to").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_gets_no_screen() {
    let (served, _folder) = site(&[]).await;
    let refused = async |who, origin| ask(&served, who, origin).await.err();
    assert_eq!(refused(ADMIN, Some("http://localhost")).await, None);
    assert_eq!(refused(ADMIN, Some("http://evil.example")).await, Some(403));
    assert_eq!(refused(ADMIN, Some("http://localhost:81")).await, Some(403));
    assert_eq!(refused(ADMIN, Some("null")).await, Some(403));
    assert_eq!(refused(ADMIN, None).await, Some(403));
    assert_eq!(refused(("a", "wrong"), Some("http://localhost")).await, Some(401));
    assert_eq!(served.get("/terminal").await.status, 401);
    let plain = served.ask("GET", "/terminal", &[basic(ADMIN.0, ADMIN.1)], "").await;
    assert_eq!((plain.status, plain.headers["upgrade"].as_str()), (426, "websocket"));
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_are_open_and_no_more() {
    let (served, _folder) = site(&[("max_terminals", "1")]).await;
    let mut first = Visitor::comes(&served, VIEWER).await;
    first.sees("tasks.long_one").await;
    let (code, why) = Visitor::comes(&served, ADMIN).await.ends().await;
    assert!(code == 4002 && why.contains("all 1 terminals"), "{code} {why}");
    first.types("q").await;
    assert_eq!(first.ends().await, (4000, "the session has ended".to_owned()));
    drop(first);
    let end = Instant::now() + LIMIT;
    while !Visitor::comes(&served, ADMIN).await.until(|screen| screen.contains("tasks.long_one")).await {
        assert!(Instant::now() < end, "the place stays taken");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_that_nobody_uses_is_closed() {
    let (served, _folder) = site(&[("terminal_idle", "1")]).await;
    let mut visitor = Visitor::comes(&served, VIEWER).await;
    let (code, why) = visitor.ends().await;
    assert!(code == 4001 && why.contains("nothing was done for 1"), "{code} {why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_page_of_ours_sends_ends_it() {
    let (served, _folder) = site(&[]).await;
    let mut odd = Visitor::comes(&served, VIEWER).await;
    odd.socket.send(Message::text("drop table")).await.expect("sent");
    assert_eq!(odd.ends().await.0, 1008);
    let mut long = Visitor::comes(&served, VIEWER).await;
    long.socket.send(Message::binary(vec![b'j'; 20_000])).await.expect("sent");
    assert!(long.ends().await.0 != 4000);
    let mut control = Visitor::comes(&served, VIEWER).await;
    control.sees("tasks.long_one").await;
    control.types("\x1b[200~\x1b]52;c;?\x07\u{9b}99999;1R\x1b[201~\x1b[<0;9999;9999M").await;
    control.types("2").await;
    control.sees("w2@vm").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_server_is_told() {
    let (mut served, _folder) = site(&[]).await;
    let mut visitor = Visitor::comes(&served, VIEWER).await;
    visitor.sees("tasks.long_one").await;
    served.end().await;
    assert_eq!(visitor.ends().await.0, 1012);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_screen_open_comes_in_anew_when_users_are_read_anew() {
    let (served, folder) = site(&[]).await;
    let mut visitor = Visitor::comes(&served, ADMIN).await;
    visitor.sees("tasks.long_one").await;
    let path = folder.path().join("users");
    std::fs::write(&path, "b:somebody else altogether:admin\n").expect("written");
    let options = options(&[("users", path.to_str().expect("text"))], &[]);
    let (guard, _) = Guard::read(&options, served.clock.clone()).expect("read");
    served.site.set_guard(guard);
    assert_eq!(visitor.ends().await.0, 1012);
    assert_eq!(ask(&served, ADMIN, Some("http://localhost")).await.err(), Some(401));
}

/// Keeps what is written, and tells nobody.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_takes_nothing_is_sent_no_more_and_then_what_is_newest() {
    let (parts, _kept, _link) = Stand::new(options(&[], &[])).parts();
    super::cluster::beat(&parts.ops.store);
    let (untaken, untaken_seen) = watch::channel(0);
    let (_size, resized) = watch::channel(Size { width: 100, height: 30 });
    let wiring = Wiring {
        ops: parts.ops,
        locator: parts.locator,
        feed: parts.feed,
        resized,
        stop: parts.stop.clone(),
        true_color: true,
        multiplexer: Multiplexer::None,
        auto_theme: false,
        terminal: None,
        keep: None,
        recorder: None,
        untaken: untaken_seen,
        idle: None,
    };
    let written = Written::default();
    let (typed, mut input) = mpsc::channel(1);
    let mut session = Session::new(parts.screen, written.clone(), wiring);
    let running = tokio::spawn(async move { session.run(&mut input).await });
    let end = Instant::now() + LIMIT;
    while written.0.lock().is_empty() {
        assert!(Instant::now() < end, "nothing is drawn");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    untaken.send_replace(1);
    let mut before = written.0.lock().len();
    // Once the second one was taken, what was begun has been written.
    for n in 0..200 {
        let keys = if n % 2 == 0 { "2" } else { "1" };
        typed.send(keys.into()).await.expect("taken");
        if n == 2 {
            before = written.0.lock().len();
        }
    }
    typed.send("3".into()).await.expect("taken");
    assert_eq!(written.0.lock().len(), before, "nothing was sent meanwhile");
    untaken.send_replace(0);
    let newest = || vt100_of(&written.0.lock()).contains("success rate");
    while !newest() {
        assert!(Instant::now() < end, "the newest screen is not drawn");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    parts.stop.cancel();
    running.await.expect("ended").expect("no error");
}

fn vt100_of(bytes: &[u8]) -> String {
    let mut screen = vt100::Parser::new(30, 100, 0);
    screen.process(bytes);
    screen.screen().contents()
}
