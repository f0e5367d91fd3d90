//! Every screen as a person would see it, from the simulated cluster with a fixed clock.

use std::time::Duration;

use flower_tui::broker::{Broker, Health, LinkState};
use flower_tui::celery::TaskId;
use flower_tui::celery::pidbox::{Method, Request};
use flower_tui::clock::{Clock, Stamp};
use flower_tui::feed::apply_messages;
use flower_tui::ops::retry::{Known, Retry};
use flower_tui::sim::{Options as SimOptions, Scenario, SimBroker};
use flower_tui::state::{Limits, Store, Update};
use flower_tui::tui::Key;
use flower_tui::tui::app::{App, Do, Options, Prepared, Profile, World};
use flower_tui::tui::theme::{Role, Theme};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Size;

/// 2026-11-24 14:03:27 UTC.
const NOON: i64 = 1_795_529_007_000_000;

/// A whole app on a simulated cluster, with time standing still.
pub struct Stage {
    pub sim: SimBroker,
    pub store: Store,
    pub clock: Clock,
    pub app: App,
    pub link: LinkState,
    pub health: Option<Health>,
    pub size: Size,
    pub done: Vec<Do>,
}

impl Stage {
    pub fn new(sim: &SimOptions, width: u16, height: u16, theme: Theme) -> Self {
        let clock = Clock::manual(Stamp::from_micros(NOON));
        let options = Options {
            theme,
            profile: Profile {
                name: Some("production".into()),
                color: Some(Role::Danger),
                url: "redis://cache-1:6379/0".into(),
            },
            ..Options::default()
        };
        let mut stage = Self {
            sim: SimBroker::new(sim, clock.clone()),
            store: Store::new(Limits::default()),
            clock,
            app: App::new(options),
            link: LinkState::Live { since: Stamp::from_micros(NOON) },
            health: None,
            size: Size { width, height },
            done: Vec::new(),
        };
        stage.catch_up();
        stage
    }

    pub fn now(&self) -> Stamp {
        self.clock.now()
    }

    /// Applies all that has happened, and asks the workers as the poller would.
    fn catch_up(&mut self) {
        let now = self.now();
        let messages = self.sim.advance(now);
        apply_messages(&self.store, &messages);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("runtime");
        runtime.block_on(async {
            for method in [Method::Stats, Method::ActiveQueues, Method::Active, Method::Reserved] {
                let name = method.name();
                let replies = self.sim.control(&Request::to_all(method), &[], Duration::ZERO).await.expect("replies");
                self.store.apply(&[Update::Inspected(now, name, replies)]);
            }
            if let Some((worker, method)) = self.app.interest().inspect {
                let name = method.name();
                let request = Request { method, to: Some(vec![worker]) };
                let replies = self.sim.control(&request, &[], Duration::ZERO).await.expect("replies");
                self.store.apply(&[Update::Inspected(now, name, replies)]);
            }
            let depths = self.sim.queues(&[]).await.expect("depths");
            self.store.apply(&[Update::Queues(now, depths), Update::Tick(now)]);
            self.health = Some(self.sim.health().await.expect("health"));
        });
    }

    /// Lets time pass.
    pub fn pass(&mut self, secs: u64) {
        self.clock.set(self.now() + Duration::from_secs(secs));
        self.catch_up();
    }

    /// Lets time pass in which only events come: nobody is asked.
    pub fn hear(&mut self, secs: u64) {
        self.clock.set(self.now() + Duration::from_secs(secs));
        let messages = self.sim.advance(self.now());
        apply_messages(&self.store, &messages);
    }

    /// Lets time pass in which nothing is heard.
    pub fn wait(&mut self, secs: u64) {
        self.clock.set(self.now() + Duration::from_secs(secs));
    }

    /// Types keys: single characters, and names in angle brackets.
    pub fn keys(&mut self, keys: &str) {
        let mut rest = keys;
        while !rest.is_empty() {
            let (name, length) = match rest.strip_prefix('<').and_then(|r| r.find('>')) {
                Some(end) => (rest[1..=end].to_owned(), end + 2),
                None => {
                    let c = rest.chars().next().expect("a character");
                    (if c == ' ' { "Space".into() } else { c.to_string() }, c.len_utf8())
                }
            };
            rest = &rest[length..];
            self.key(&name);
        }
    }

    pub fn key(&mut self, name: &str) {
        let store = self.store.clone();
        let world = World { now: self.now(), link: &self.link, health: self.health.as_ref(), size: self.size };
        let done = store.read(|m| self.app.key(&Key::named(name), m, &world));
        self.take(done);
    }

    /// Does what the app wants done, as far as it can be done here; the rest is kept.
    pub fn take(&mut self, done: Vec<Do>) {
        let store = self.store.clone();
        for what in done {
            let Do::Prepare(wanted) = what else {
                self.done.push(what);
                continue;
            };
            let prepare = |m: &_| {
                let one = |id: &TaskId| (id.clone(), Retry::prepare(m, id, &Known::default(), &wanted.options));
                wanted.ids.iter().map(one).collect()
            };
            let prepared = Prepared { found: store.read(prepare), refused: wanted.refused.clone() };
            let now = self.now();
            store.read(|m| self.app.prepared(prepared, m, now));
        }
    }

    /// Clicks on the first place that shows a text.
    pub fn click(&mut self, text: &str) {
        let screen = self.text();
        let (y, line) = screen.lines().enumerate().find(|(_, l)| l.contains(text)).expect("on the screen");
        // The dump puts a quote in front of each line.
        let x = line[..line.find(text).expect("found")].chars().count() - 1;
        self.click_at(x as u16, y as u16);
    }

    pub fn click_at(&mut self, x: u16, y: u16) {
        let store = self.store.clone();
        let world = World { now: self.now(), link: &self.link, health: self.health.as_ref(), size: self.size };
        let done = store.read(|m| self.app.click(x, y, m, &world));
        self.done.extend(done);
    }

    pub fn paste(&mut self, text: &str) {
        let store = self.store.clone();
        let world = World { now: self.now(), link: &self.link, health: self.health.as_ref(), size: self.size };
        let done = store.read(|m| self.app.paste(text, m, &world));
        self.done.extend(done);
    }

    pub fn draw(&mut self) -> Terminal<TestBackend> {
        let mut terminal = Terminal::new(TestBackend::new(self.size.width, self.size.height)).expect("terminal");
        let store = self.store.clone();
        let now = self.now();
        let world = World { now, link: &self.link, health: self.health.as_ref(), size: self.size };
        store.read(|m| self.app.sync(m, &world));
        terminal
            .draw(|frame| {
                self.app.draw(frame.buffer_mut(), now);
            })
            .expect("drawn");
        terminal
    }

    pub fn text(&mut self) -> String {
        self.draw().backend().to_string()
    }
}

pub fn busy() -> SimOptions {
    SimOptions { tasks: 3_000, ..SimOptions::default() }
}

const SIZES: [(u16, u16); 4] = [(40, 12), (80, 24), (120, 36), (200, 60)];

#[test]
fn every_tab_at_every_size() {
    for (width, height) in SIZES {
        let mut stage = Stage::new(&busy(), width, height, Theme::dark());
        for (key, name) in [("1", "tasks"), ("2", "workers"), ("3", "monitor"), ("4", "broker")] {
            stage.keys(key);
            stage.draw();
            stage.keys(if key == "1" { "jj" } else { "" });
            insta::assert_snapshot!(format!("{name}-{width}x{height}"), stage.text());
        }
    }
}

#[test]
fn a_failed_task_on_its_own_screen() {
    let mut stage = Stage::new(&busy(), 120, 48, Theme::dark());
    stage.draw();
    stage.keys("/state:failure task:charge<Enter><Enter>");
    insta::assert_snapshot!("task-failed", stage.text());
    stage.keys("<Esc>");
    assert!(stage.text().contains("state:failure task:charge"), "one step back");
}

#[test]
fn questions_say_what_goes_to_whom_and_no_is_the_default() {
    let mut stage = Stage::new(&busy(), 120, 36, Theme::dark());
    stage.draw();
    stage.keys("/state:failure<Enter>");
    stage.draw();
    stage.keys("r");
    insta::assert_snapshot!("confirm-retry", mask_ids(&stage.text()));
    stage.keys("y");
    assert_eq!(stage.done, [], "a y that could not be an answer is none");
    stage.keys("<Enter>");
    assert!(!stage.text().contains("Send 1 task again?"), "Enter is No");
    stage.keys("2");
    stage.draw();
    stage.keys("Q");
    insta::assert_snapshot!("confirm-shutdown", stage.text());
    stage.pass(1);
    stage.keys("y");
    assert!(matches!(&stage.done[..], [Do::Run(_)]), "{:?}", stage.done);
}

/// New ids are random: they are not the same twice.
fn mask_ids(text: &str) -> String {
    let at = text.find("new id  ").expect("new id") + 8;
    format!("{}{}{}", &text[..at], "0".repeat(36), &text[at + 36..])
}

#[test]
fn menus_help_and_log() {
    let mut stage = Stage::new(&busy(), 100, 40, Theme::dark());
    stage.draw();
    stage.keys("jj.");
    insta::assert_snapshot!("menu", stage.text());
    stage.keys("<Esc>?");
    insta::assert_snapshot!("help", stage.text());
    stage.keys("<Esc>s");
    insta::assert_snapshot!("sort", stage.text());
    stage.keys("<Esc>L");
    insta::assert_snapshot!("log-empty", stage.text());
}

#[test]
fn a_filter_that_does_not_parse_says_so_and_keeps_the_list() {
    let mut stage = Stage::new(&busy(), 100, 24, Theme::dark());
    stage.draw();
    stage.keys("/sate:x");
    let text = stage.text();
    assert!(text.contains("did you mean state:?"), "{text}");
    stage.keys("<Esc>");
    stage.keys("/nothingmatchesthis<Enter>");
    insta::assert_snapshot!("nothing-matches", stage.text());
}

#[test]
fn an_empty_cluster_says_what_would_be_here() {
    let none = SimOptions { tasks: 0, rate: 0.0, workers: 0, ..SimOptions::default() };
    let mut stage = Stage::new(&none, 100, 24, Theme::dark());
    for (key, name) in [("1", "tasks"), ("2", "workers"), ("3", "monitor"), ("4", "broker")] {
        stage.keys(key);
        insta::assert_snapshot!(format!("empty-{name}"), stage.text());
    }
    let quiet = SimOptions { scenario: Scenario::Quiet, ..busy() };
    let mut stage = Stage::new(&quiet, 100, 24, Theme::dark());
    stage.keys("/state:success<Enter><Esc>");
    stage.draw();
    stage.keys("E");
    assert!(stage.text().contains("Turn on task events of all 5 online workers?"), "{}", stage.text());
}

#[test]
fn the_broker_is_gone() {
    let mut stage = Stage::new(&busy(), 100, 24, Theme::dark());
    let now = stage.now();
    stage.link = LinkState::Down {
        since: now,
        why: "connection refused".into(),
        hint: "",
        retry: now + Duration::from_secs(15),
    };
    stage.pass(12);
    let text = stage.text();
    assert!(text.contains("○ down 12s, trying again in 3s"), "{text}");
    assert!(text.contains("celery@app"), "data stays");
    // Tries that come and fail in between are not shown before the clock's next second.
    stage.link = LinkState::Down {
        since: now,
        why: "connection refused".into(),
        hint: "",
        retry: now + Duration::from_secs(40),
    };
    assert!(stage.text().contains("○ down 12s, trying again in 3s"), "{}", stage.text());
    stage.pass(1);
    assert!(stage.text().contains("○ down 13s, trying again in 27s"), "{}", stage.text());
}

#[test]
fn nothing_from_the_broker_reaches_the_terminal_unescaped() {
    let hostile = SimOptions { scenario: Scenario::Hostile, tasks: 500, ..SimOptions::default() };
    for (width, height) in SIZES {
        let mut stage = Stage::new(&hostile, width, height, Theme::dark());
        for keys in ["1", "<Enter>", "<Esc>r", "<Esc>", "2", "<Enter>", "<Esc>3", "4", "1/evil", "<Enter>.", "<Esc>?"] {
            stage.keys(keys);
            let terminal = stage.draw();
            for cell in terminal.backend().buffer().content() {
                assert!(
                    !cell.symbol().chars().any(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)),
                    "{keys}"
                );
            }
        }
    }
}

#[test]
fn themes_differ_in_style_only() {
    let text = |theme| {
        let mut stage = Stage::new(&busy(), 80, 24, theme);
        stage.keys("1");
        let terminal = stage.draw();
        let styles: String = terminal
            .backend()
            .buffer()
            .content()
            .iter()
            .map(|c| format!("{:?}{:?}{:?}", c.fg, c.bg, c.modifier))
            .collect();
        (terminal.backend().to_string(), styles)
    };
    let (dark, light, none) = (text(Theme::dark()), text(Theme::light()), text(Theme::none()));
    assert!(dark.0 == light.0 && dark.0 == none.0);
    assert!(dark.1 != light.1);
    assert!(!none.1.contains("Rgb") && !none.1.contains("Indexed"), "no colours");
}

#[test]
fn ascii_means_ascii() {
    let mut stage = Stage::new(&SimOptions { scenario: Scenario::Hostile, ..busy() }, 120, 36, Theme::dark());
    stage.app.options.ascii = true;
    for key in ["1", "2", "3", "4"] {
        stage.keys(key);
        let text: String = stage.draw().backend().buffer().content().iter().map(|c| c.symbol().to_owned()).collect();
        assert!(text.is_ascii(), "{text}");
    }
}

#[test]
fn the_mouse_does_what_keys_do() {
    let mut stage = Stage::new(&busy(), 120, 36, Theme::dark());
    stage.draw();
    stage.click("2 Workers");
    assert!(stage.text().contains("LOADAVG"));
    stage.click("celery@app-3");
    assert!(stage.text().lines().any(|l| l.contains("▌") && l.contains("celery@app-3")));
    stage.click("Q shut down");
    assert!(stage.text().contains("Shut down 1 worker?"));
    stage.pass(1);
    stage.click("1 Tasks");
    assert!(stage.text().contains("Shut down 1 worker?"), "a question is exclusive");
    stage.click("don't");
    assert!(!stage.text().contains("Shut down 1 worker?") && stage.done.is_empty());
    stage.click("1 Tasks");
    stage.click("RUNTIME");
    assert!(stage.text().contains("RUNTIME▼"));
}

#[test]
fn pasted_text_is_typed_into_fields_and_never_read_as_keys() {
    let mut stage = Stage::new(&busy(), 120, 36, Theme::dark());
    stage.draw();
    stage.paste("2Qy");
    assert!(stage.text().contains("RECEIVED"), "still on the tasks");
    stage.keys("/");
    stage.paste("state:success\nmail");
    assert!(stage.text().contains("state:successmail"));
    assert_eq!(stage.done, []);
}

#[test]
fn read_only_sends_nothing_and_says_so() {
    let mut stage = Stage::new(&busy(), 120, 36, Theme::dark());
    stage.app.options.read_only = true;
    stage.draw();
    stage.keys("/state:failure<Enter>r");
    let text = stage.text();
    assert!(text.contains("read-only: retry is not sent") && text.contains("READ-ONLY"), "{text}");
    stage.keys("2Q");
    assert!(!stage.text().contains("Shut down 1 worker?"));
    assert_eq!(stage.done, []);
}

#[test]
fn two_sessions_live_in_one_process() {
    let mut one = Stage::new(&busy(), 80, 24, Theme::dark());
    let mut two = Stage::new(&SimOptions { seed: 8, ..busy() }, 120, 36, Theme::light());
    one.keys("2");
    two.keys("4");
    assert!(one.text().contains("WORKER") && two.text().contains("QUEUE"));
    assert_ne!(one.text(), two.text());
}

#[test]
fn the_selection_follows_the_task_and_not_the_row() {
    let mut stage = Stage::new(&busy(), 120, 36, Theme::dark());
    stage.draw();
    stage.keys("jjjj");
    let selected = |text: &str| text.lines().find(|l| l.contains('▌')).map(|l| l[40..60].to_owned());
    let before = selected(&stage.text());
    stage.pass(5);
    let text = stage.text();
    assert_eq!(selected(&text), before);
    assert!(text.contains("new"), "{text}");
    stage.keys("g");
    stage.keys("g");
    stage.pass(5);
    assert_ne!(selected(&stage.text()), before, "on the first row it follows what is new");
}

#[test]
fn random_keys_resizes_and_time_never_panic_and_send_nothing_unasked() {
    let keys = "jkhlgGvu*sSfcoztTWNJKR./?pLE+-iQAad[]{}rxXy12345 <Enter><Esc><Up><Down><Backspace><ctrl-d><ctrl-u>yn\
                <PageDown><End><Home>:,a<Tab><BackTab><lt>>";
    let names: Vec<String> = {
        let mut names = Vec::new();
        let mut rest = keys;
        while !rest.is_empty() {
            let end = if rest.starts_with('<') { rest.find('>').expect("closed") + 1 } else { 1 };
            names.push(rest[..end].replace("<lt>", "<"));
            rest = &rest[end..];
        }
        names
    };
    let mut rng = fastrand::Rng::with_seed(42);
    let mut stage = Stage::new(&SimOptions { tasks: 300, ..SimOptions::default() }, 120, 36, Theme::dark());
    let mut before = stage.draw();
    for step in 0..20_000 {
        match rng.u32(0..40) {
            0 => stage.size = Size { width: rng.u16(1..210), height: rng.u16(1..70) },
            1 => stage.pass(rng.u64(0..2)),
            2 => {
                let (x, y) = (rng.u16(0..stage.size.width), rng.u16(0..stage.size.height));
                stage.click_at(x, y);
            }
            _ => match names[rng.usize(0..names.len())].as_str() {
                "<" => stage.key("<"),
                name => stage.keys(name),
            },
        }
        for what in stage.done.drain(..) {
            if let Do::Run(command) = what {
                let harmless = command.risk() == flower_tui::ops::Risk::Looks;
                let seen = before.backend().to_string();
                let asked = seen.contains("do it") || seen.contains("type its name");
                assert!(harmless || asked, "step {step}: {command:?} without a question");
            }
        }
        before = stage.draw();
    }
}
