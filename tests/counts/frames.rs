//! A frame of the Tasks tab at 120x36, from the model to the bytes that go to the terminal, as `tui::session` makes it:
//! allocations and bytes. The sixteen bytes that mark a long frame as one are not in it.

use std::time::Duration;

use flower_tui::broker::{Broker, Health, LinkState};
use flower_tui::clock::Clock;
use flower_tui::feed::apply_messages;
use flower_tui::sim::SimBroker;
use flower_tui::state::{Limits, Store, Update};
use flower_tui::tui::app::{App, Options, World};
use flower_tui::tui::paint::Painter;
use flower_tui::tui::theme::Theme;
use ratatui::layout::Size;

use super::{cluster, hold};

const SIZE: Size = Size { width: 120, height: 36 };
/// Frames of a sort: what is counted is their mean.
const FRAMES: usize = 10;
/// Events between two frames of a busy cluster.
const EVENTS: usize = 500;

/// Frames, with their allocations and their bytes to the terminal.
const BUDGETS: [(&str, f64, f64); 3] = [
    ("the first frame", 1_108.0, 4_154.0),
    ("an idle frame", 690.0, 103.1),
    ("a frame after 500 events", 704.0, 2_261.2),
];

/// A screen on a cluster whose time stands still until it is told.
struct Screen {
    sim: SimBroker,
    clock: Clock,
    store: Store,
    link: LinkState,
    health: Health,
    app: App,
    painter: Painter,
}

impl Screen {
    async fn new() -> Self {
        let (sim, clock) = cluster(4_000);
        let now = clock.now();
        let store = Store::new(Limits::default());
        apply_messages(&store, &sim.advance(now));
        let depths = sim.queues(&[]).await.unwrap();
        store.apply(&[Update::Queues(now, depths), Update::Tick(now)]);
        let health = sim.health().await.unwrap();
        let app = App::new(Options { theme: Theme::dark(), ..Options::default() });
        Self { sim, clock, store, link: LinkState::Live { since: now }, health, app, painter: Painter::new(SIZE) }
    }

    /// One frame: allocations and bytes. What it wants scanned is done after it, as on a thread of its own.
    fn frame(&mut self) -> (f64, f64) {
        let now = self.clock.now();
        let world = World { now, link: &self.link, health: Some(&self.health), size: SIZE };
        let mut bytes = Vec::new();
        let counted = allocation_counter::measure(|| {
            self.store.read(|m| self.app.sync(m, &world));
            let cursor = self.app.draw(self.painter.frame(), now);
            bytes = self.painter.paint(cursor);
        });
        for (tab, request) in self.app.wanted_scans() {
            self.app.scanned(tab, self.store.scan(&request));
        }
        (counted.count_total as f64, bytes.len() as f64)
    }

    /// The mean of some frames, each after something has happened.
    fn frames(&mut self, mut happens: impl FnMut(&mut Self)) -> (f64, f64) {
        let (mut allocations, mut bytes) = (0.0, 0.0);
        for _ in 0..FRAMES {
            happens(self);
            let frame = self.frame();
            (allocations, bytes) = (allocations + frame.0, bytes + frame.1);
        }
        (allocations / FRAMES as f64, bytes / FRAMES as f64)
    }
}

#[tokio::test]
async fn a_frame_costs_no_more_than_its_budget() {
    let mut screen = Screen::new().await;
    let first = screen.frame();
    // The list is scanned for the first time after it.
    screen.frame();
    let idle = screen.frames(|screen| screen.clock.set(screen.clock.now() + Duration::from_secs(1)));
    let messages = screen.sim.advance(screen.clock.now() + Duration::from_secs(300));
    let mut messages = messages.chunks_exact(EVENTS);
    let busy = screen.frames(|screen| {
        let messages = messages.next().unwrap();
        screen.clock.set(messages.last().unwrap().received);
        apply_messages(&screen.store, messages);
        screen.store.apply(&[Update::Tick(screen.clock.now())]);
    });
    let counted = BUDGETS.into_iter().zip([first, idle, busy]).flat_map(|((frame, allocations, bytes), counted)| {
        [
            (format!("allocations of {frame}"), counted.0, allocations),
            (format!("bytes to the terminal of {frame}"), counted.1, bytes),
        ]
    });
    hold(&counted.collect::<Vec<_>>());
}
