//! The whole screen: tabs, layers on top of them, and what keys do to both. Knows no tab by name and does no I/O.

mod again;
mod asks;
mod bulks;
mod replay;
mod told;
mod ways;

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};

use super::action::{Action, Scope};
use super::header::{self, Header};
use super::hints::Hints;
use super::keymap::{Key, Keymap, Resolved};
use super::keys::ALWAYS_QUITS;
use super::layers::{Choose, Confirm, Help, Palette, Send, log};
use super::options::Times;
use super::page::{Page, Target};
use super::tabs;
use super::theme::{Role, ascii};
use super::view::{self, Answer, BulkWish, Cx, Effect, Leave, Outcome, View};
use super::views::find::{self, FindScreen};
use super::views::task::TaskScreen;
use super::views::welcome::Welcome;
use super::views::workflow::WorkflowScreen;
use crate::broker::{Health, LinkState, Right};
use crate::clock::Stamp;
use crate::export::Export;
use crate::feed::Interest;
use crate::feed::replay::Controls;
use crate::history::writer;
use crate::ops::{Command, Receipt, Risk};
use crate::state::Model;
use crate::text::{Clean, clean};

pub use super::header::Profile;
pub use super::options::Options;
pub use again::{Prepared, Wanted};
pub use bulks::Bulked;
pub use told::Told;
use ways::Return;

/// The world as it is at the moment a key or frame is handled.
pub struct World<'a> {
    pub now: Stamp,
    pub link: &'a LinkState,
    pub health: Option<&'a Health>,
    pub size: Size,
}

/// What the session has to do for the app.
#[derive(Debug, PartialEq)]
pub enum Do {
    Run(Command),
    /// Look up what tasks were sent with: the answer goes to [`App::prepared`].
    Prepare(Wanted),
    /// See to bulk actions: the answer goes to [`App::bulked`].
    Bulk(BulkWish),
    /// Let what is under way step by step go no further.
    StopSteps,
    /// Read the audit log, for [`App::overrides`].
    ReadLog,
    Refresh,
    Redraw,
    /// Put a text into the terminal's clipboard.
    Copy(String),
    /// Write a file.
    Export(Export),
    /// Write it no further.
    StopExport,
    /// Keep the broker one is on as a profile of this name.
    Keep(String),
    /// Let a person edit a text in an editor of their own: it comes back by [`App::edited`].
    Edit(String),
    Suspend,
    Leave(Leave),
}

/// See the module.
pub struct App {
    pub options: Options,
    tabs: Vec<Box<dyn View>>,
    titles: Vec<&'static str>,
    tab: usize,
    layers: Vec<Box<dyn View>>,
    /// The way back, the nearest last.
    returns: Vec<Return>,
    crumbs: Clean,
    welcome: Option<Welcome>,
    keymap: Keymap,
    header: Header,
    receipts: Vec<Receipt>,
    /// What those under way have done so far, step by step.
    steps: Vec<(Stamp, String)>,
    /// Commands under way.
    running: usize,
    quitting: bool,
    /// The broker lets us send nothing; and whether read-only was asked for besides.
    refused: Option<bool>,
    toast: Option<(Clean, Role, Stamp)>,
    /// Events seen when the view was held still.
    paused: Option<(Stamp, u64)>,
    /// Something changed since the views copied what they show: keys may arrive before the next frame.
    unsynced: bool,
    notes: Vec<(Clean, Role)>,
    /// What the last line says can be done now, and what stays in it to the last.
    hints: Hints,
    clicks: Vec<(Rect, Target)>,
    /// A field asks for a time of the recording.
    going: bool,
    /// Where the mouse was pressed, while it may be dragged from there.
    dragging: Option<Target>,
    round_trip: Option<Duration>,
    /// How writing the history goes.
    recording: Option<writer::Status>,
    /// A file is being written.
    writing: bool,
}

/// Columns and rows below which nothing can be shown that is of use.
const LEAST: (u16, u16) = (16, 5);
/// The tab that lists tasks.
const TASKS: usize = 0;
/// After so long a message in the last line counts as read.
const READ: Duration = Duration::from_millis(1_500);
/// How long a message stays in the last line.
const TOAST: Duration = Duration::from_secs(6);
/// Receipts kept for the log.
const LOGGED: usize = 500;

impl App {
    pub fn new(mut options: Options) -> Self {
        // The past takes no commands.
        options.read_only |= options.replay.is_some() || options.role == Some(crate::ops::Role::Viewer);
        let toast = options.notice.as_deref().map(|text| (clean(text), Role::Warn, Stamp::EPOCH));
        let titles = tabs::there(&options).map(|tab| tab.title).collect();
        let tabs = tabs::there(&options).map(|tab| (tab.make)()).collect();
        let welcome = options.welcome.then(|| Welcome::new(options.profile.url.clone()));
        Self {
            options,
            tabs,
            titles,
            recording: None,
            writing: false,
            tab: 0,
            layers: Vec::new(),
            returns: Vec::new(),
            crumbs: Clean::default(),
            welcome,
            keymap: Keymap::default(),
            header: Header::default(),
            receipts: Vec::new(),
            steps: Vec::new(),
            running: 0,
            quitting: false,
            refused: None,
            toast,
            paused: None,
            unsynced: true,
            notes: Vec::new(),
            hints: Hints::default(),
            clicks: Vec::new(),
            dragging: None,
            going: false,
            round_trip: None,
        }
    }

    fn base(&mut self) -> &mut dyn View {
        match &mut self.welcome {
            Some(welcome) => welcome,
            None => self.tabs[self.tab].as_mut(),
        }
    }

    fn focus(&mut self) -> &mut dyn View {
        match self.layers.last_mut() {
            Some(layer) => layer.as_mut(),
            None => match &mut self.welcome {
                Some(welcome) => welcome,
                None => self.tabs[self.tab].as_mut(),
            },
        }
    }

    fn live(&self) -> Vec<Scope> {
        let view = match (self.layers.last(), &self.welcome) {
            (Some(layer), _) => layer.as_ref(),
            (None, Some(welcome)) => welcome,
            (None, None) => self.tabs[self.tab].as_ref(),
        };
        view::live(view, &self.options)
    }

    /// What workers should be asked about now.
    pub fn interest(&self) -> Interest {
        let visible = self.layers.last().filter(|l| !l.is_overlay());
        let below = visible.map_or_else(|| self.tabs[self.tab].interest(), |layer| layer.interest());
        // A form asks for what it completes from; what it lies on goes on.
        let registered = below.registered || self.layers.last().is_some_and(|layer| layer.interest().registered);
        Interest { registered, ..below }
    }

    /// Pause that should lie between two frames which only bring new data.
    pub fn pause_between(&self) -> Duration {
        let visible = self.layers.last().filter(|l| !l.is_overlay());
        Duration::from_millis(visible.map_or_else(|| self.tabs[self.tab].pause_between(), |l| l.pause_between()))
    }

    /// Whether the view is held still.
    pub fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// The measured round trip to the terminal.
    pub fn set_round_trip(&mut self, round_trip: Option<Duration>) {
        self.round_trip = round_trip;
    }

    /// Takes a key.
    pub fn key(&mut self, key: &Key, model: &Model, world: &World<'_>) -> Vec<Do> {
        if key.name() == ALWAYS_QUITS {
            return self.quit();
        }
        self.heed_rights(world.health);
        if self.unsynced {
            self.sync(model, world);
        }
        // A message that could be read gives way to the hints with the next key.
        if self.toast.as_ref().is_some_and(|(_, _, at)| world.now.since(*at) >= READ) {
            self.toast = None;
        }
        let scopes = self.live();
        if scopes.contains(&Scope::Global)
            && self.welcome.is_none()
            && let Some(tab) = key.character().and_then(|c| c.to_digit(10))
            && (1..=self.tabs.len()).contains(&(tab as usize))
        {
            self.go_to_tab(tab as usize - 1);
            return Vec::new();
        }
        // A key acts on what was on screen; one that comes before the next frame, on what this one makes of it.
        self.unsynced = true;
        match self.keymap.resolve(&self.options.keys, &scopes, key) {
            Resolved::Action(action) => self.perform(action, model, world),
            Resolved::Pending => Vec::new(),
            Resolved::Nothing => {
                let saved = self.options.filters.iter().find(|saved| saved.key.as_deref() == Some(key.name()));
                if let Some(saved) = saved.filter(|_| scopes.contains(&Scope::TaskList)).cloned() {
                    self.focus().filter_by(&saved.filter);
                    return Vec::new();
                }
                let outcome = self.focus().type_key(key);
                self.outcome(outcome, None, model, world)
            }
        }
    }

    /// Takes pasted text. Outside a field it does nothing.
    pub fn paste(&mut self, text: &str, model: &Model, world: &World<'_>) -> Vec<Do> {
        if !self.focus().scopes().contains(&Scope::Field) {
            return Vec::new();
        }
        let outcome = self.focus().paste(text);
        self.outcome(outcome, None, model, world)
    }

    /// Takes a click.
    pub fn click(&mut self, x: u16, y: u16, model: &Model, world: &World<'_>) -> Vec<Do> {
        let hit = self.clicks.iter().rev().find(|(area, _)| area.contains((x, y).into())).map(|(_, target)| *target);
        self.dragging = hit;
        match hit {
            Some(Target::Tab(tab)) => {
                self.go_to_tab(tab);
                Vec::new()
            }
            Some(target) => {
                let outcome = self.with_cx(model, world, |view, cx| view.click(target, cx));
                match (outcome, target) {
                    (Outcome::Ignored, Target::Action(action)) => self.perform(action, model, world),
                    (outcome, _) => self.outcome(outcome, None, model, world),
                }
            }
            None => Vec::new(),
        }
    }

    /// Takes the mouse being dragged: by the edge above the details, that edge goes along; in a chart, to another point.
    pub fn drag(&mut self, x: u16, y: u16, size: Size) {
        match self.dragging {
            Some(Target::Split) => {
                let bottom = size.height.saturating_sub(1);
                self.focus().resize_details(bottom.saturating_sub(y));
            }
            Some(Target::Share(_)) => {
                let hit = self.clicks.iter().rev().find(|(area, _)| area.contains((x, y).into()));
                if let Some((_, target @ Target::Share(_))) = hit {
                    let target = *target;
                    self.focus().drag(target);
                    self.unsynced = true;
                }
            }
            _ => {}
        }
    }

    /// Takes a turn of the wheel.
    pub fn wheel(&mut self, down: bool, model: &Model, world: &World<'_>) -> Vec<Do> {
        let scopes = self.focus().scopes();
        let actions = if scopes.contains(&Scope::List) {
            (Action::Down, Action::Up)
        } else if scopes.contains(&Scope::Text) {
            (Action::ScrollDown, Action::ScrollUp)
        } else if scopes.contains(&Scope::Choose) {
            (Action::ChooseDown, Action::ChooseUp)
        } else {
            return Vec::new();
        };
        let action = if down { actions.0 } else { actions.1 };
        (0..3).flat_map(|_| self.perform(action, model, world)).collect()
    }

    fn with_cx<R>(&mut self, model: &Model, world: &World<'_>, act: impl FnOnce(&mut dyn View, &mut Cx<'_>) -> R) -> R {
        self.with_cx_at(None, model, world, act)
    }

    pub(super) fn with_cx_at<R>(
        &mut self,
        place: Option<usize>,
        model: &Model,
        world: &World<'_>,
        act: impl FnOnce(&mut dyn View, &mut Cx<'_>) -> R,
    ) -> R {
        let receipts = std::mem::take(&mut self.receipts);
        let steps = std::mem::take(&mut self.steps);
        let recording = self.recording.take();
        let options = std::mem::take(&mut self.options);
        let mut cx = Cx {
            model,
            now: world.now,
            as_of: None,
            zone: &options.zone,
            options: &options,
            size: content(world.size),
            link: world.link,
            health: world.health,
            receipts: &receipts,
            steps: &steps,
            paused: self.paused.is_some(),
            round_trip: self.round_trip,
            recording: recording.as_ref(),
        };
        let result = match place.and_then(|place| self.at(place)) {
            Some(view) => act(view, &mut cx),
            None => act(self.focus(), &mut cx),
        };
        self.options = options;
        self.receipts = receipts;
        self.steps = steps;
        self.recording = recording;
        result
    }

    fn perform(&mut self, action: Action, model: &Model, world: &World<'_>) -> Vec<Do> {
        if action == Action::Export && self.writing {
            return vec![Do::StopExport];
        }
        let row = action.row();
        if view::unsent(row, &self.options, world.health).is_some() {
            let verb = if row.hint.is_empty() { action.name().replace('_', " ") } else { row.hint.into() };
            self.not_sent(&verb, world);
            return Vec::new();
        }
        let refused = self.with_cx(model, world, |view, cx| view.refuse(action, cx));
        if let Some(why) = refused {
            let subject = self.with_cx(model, world, |view, cx| view.subject(cx));
            let text = subject.map_or(why.clone(), |subject| format!("{subject}: {why}"));
            self.say(&text, Role::Warn, world.now);
            return Vec::new();
        }
        if action == Action::Palette {
            let palette = self.with_cx(model, world, |view, cx| Palette::new(view, cx));
            self.layers.push(Box::new(palette));
            return Vec::new();
        }
        if action == Action::Help {
            let help = self.with_cx(model, world, |view, cx| Help::new(view, cx));
            self.layers.push(Box::new(help));
            return Vec::new();
        }
        if action == Action::Menu {
            let menu = self.with_cx(model, world, |view, cx| Choose::actions("this row", view, cx));
            self.layers.push(Box::new(menu));
            return Vec::new();
        }
        if action == Action::Clusters {
            self.layers.push(Box::new(Choose::clusters(&self.options)));
            return Vec::new();
        }
        if action == Action::Back && self.step_back() {
            return Vec::new();
        }
        let outcome = self.with_cx(model, world, |view, cx| view.perform(action, cx));
        self.outcome(outcome, Some(action), model, world)
    }

    fn copy(&mut self, model: &Model, world: &World<'_>) -> Vec<Do> {
        let copies = self.with_cx(model, world, |view, cx| view.copies(cx));
        match copies.len() {
            0 => self.say("there is nothing to copy here", Role::Muted, world.now),
            1 => {
                return copies
                    .into_iter()
                    .flat_map(|(what, text)| self.effect(Effect::Copy { what, text }, model, world))
                    .collect();
            }
            _ => self.layers.push(Box::new(Choose::copies(copies))),
        }
        Vec::new()
    }

    pub(super) fn outcome(
        &mut self,
        outcome: Outcome,
        action: Option<Action>,
        model: &Model,
        world: &World<'_>,
    ) -> Vec<Do> {
        match (outcome, action) {
            (Outcome::Effect(effect), _) => self.effect(effect, model, world),
            (Outcome::Ignored, Some(action)) => self.global(action, model, world),
            _ => Vec::new(),
        }
    }

    fn effect(&mut self, effect: Effect, model: &Model, world: &World<'_>) -> Vec<Do> {
        if let Effect::Ask(command) | Effect::Run(command) = &effect
            && let Some(why) = self.options.role.and_then(|role| role.refuses(command))
        {
            self.say(&format!("{} is not sent: {why}", command.verb()), Role::Warn, world.now);
            return Vec::new();
        }
        match effect {
            Effect::Ask(command) if self.options.read_only => self.not_sent(command.verb(), world),
            Effect::Run(command) if self.options.read_only && command.risk() > Risk::Looks => {
                self.not_sent(command.verb(), world);
            }
            Effect::Ask(command) => self.layers.push(Box::new(Confirm::new(command))),
            Effect::Run(command) => {
                if self.layers.last().is_some_and(|l| l.scopes() == [Scope::Confirm]) {
                    self.layers.pop();
                }
                self.running += 1;
                self.say(&format!("{} sent, waiting for answers …", command.verb()), Role::Muted, world.now);
                return vec![Do::Run(command)];
            }
            Effect::Retry { .. } if self.options.read_only => {
                self.not_sent("retry", world);
            }
            Effect::Retry { ids, refused, options } => {
                return self.prepare(Wanted { ids, refused, options }, world.now);
            }
            Effect::CloseThen(effect) => {
                self.layers.pop();
                return self.effect(*effect, model, world);
            }
            Effect::Bulk(wish) => return self.wish(wish, world),
            Effect::Open(view) => self.layers.push(view),
            Effect::Replace(view) => {
                self.layers.pop();
                self.layers.push(view);
            }
            Effect::OpenTask(id) => self.layers.push(Box::new(TaskScreen::new(id))),
            Effect::OpenTasks { filter } => self.open_filtered(TASKS, &filter),
            Effect::OpenHistory { filter } => {
                if let Some(place) = self.titles.iter().position(|title| *title == "History") {
                    self.open_filtered(place, &filter);
                }
            }
            Effect::OpenWorkflow(id) => self.layers.push(Box::new(WorkflowScreen::new(id))),
            Effect::Edit(text) => return vec![Do::Edit(text)],
            Effect::Copy { what, text } => {
                if self.layers.last().is_some_and(|l| l.scopes() == [Scope::Choose]) {
                    self.layers.pop();
                }
                let size = crate::human::bytes(text.len() as u64);
                self.say(&format!("copied {what} ({size})"), Role::Muted, world.now);
                return vec![Do::Copy(text)];
            }
            Effect::Export(export) => {
                self.running += 1;
                self.writing = true;
                self.say(&format!("writing {} …", export.path), Role::Muted, world.now);
                return vec![Do::Export(export)];
            }
            Effect::Keep(name) => {
                self.layers.pop();
                return vec![Do::Keep(name)];
            }
            Effect::Close => {
                self.layers.pop();
            }
            Effect::CloseSaying(text) => {
                self.layers.pop();
                self.say(&text, Role::Muted, world.now);
            }
            Effect::CloseAnd(action) => {
                self.layers.pop();
                return self.perform(action, model, world);
            }
            Effect::Answer(answer) if self.going => self.go_to(&answer, world),
            Effect::Answer(answer) => {
                let top = self.layers.pop();
                let outcome = self.with_cx(model, world, |view, cx| view.answer(&answer, cx));
                // A field stays open while it is typed into.
                if let (Answer::Text { done: false, .. }, Some(field)) = (&answer, top) {
                    self.layers.push(field);
                }
                return self.outcome(outcome, None, model, world);
            }
            Effect::Say(text) => self.say(&text, Role::Warn, world.now),
            Effect::GoTab(tab) if tab < self.tabs.len() => self.go_to_tab(tab),
            Effect::GoTab(_) => {}
            Effect::Leave(leave) => return self.leave(leave),
        }
        Vec::new()
    }

    /// Says that nothing was sent, and why nothing can be.
    fn not_sent(&mut self, verb: &str, world: &World<'_>) {
        let why = view::barred(&self.options, world.health).unwrap_or_default();
        self.say(&format!("{why}: {verb} is not sent"), Role::Warn, world.now);
    }

    fn global(&mut self, action: Action, model: &Model, world: &World<'_>) -> Vec<Do> {
        match action {
            Action::Quit => return self.quit(),
            Action::Copy => return self.copy(model, world),
            Action::TimeStyle => self.next_time_style(world.now),
            Action::Pause if self.options.replay.is_some() => self.play(action),
            Action::ReplayTo => self.ask_where(),
            Action::ReplayBack | Action::ReplayOn | Action::ReplayFaster | Action::ReplaySlower => self.play(action),
            Action::SendTask => self.layers.push(Box::new(Send::new(model))),
            Action::Bulks => return self.wish(BulkWish::List, world),
            Action::Overrides => return vec![Do::ReadLog],
            Action::StopSteps if self.steps.is_empty() => {
                self.say("nothing is under way step by step", Role::Muted, world.now);
            }
            Action::StopSteps => return vec![Do::StopSteps],
            Action::Log => self.layers.push(Box::<log::Log>::default()),
            Action::Find => {
                self.layers.push(Box::<FindScreen>::default());
                self.layers.push(Box::new(find::ask("")));
            }
            Action::Pause => {
                self.paused = match self.paused {
                    Some(_) => None,
                    None => Some((world.now, model.counters().seen)),
                };
            }
            Action::NextTab => self.go_to_tab((self.tab + 1) % self.tabs.len()),
            Action::PreviousTab => self.go_to_tab((self.tab + self.tabs.len() - 1) % self.tabs.len()),
            Action::Refresh => {
                self.say("asking again", Role::Muted, world.now);
                return vec![Do::Refresh];
            }
            Action::Redraw => return vec![Do::Redraw],
            Action::Suspend => return vec![Do::Suspend],
            Action::Back => {
                self.layers.pop();
            }
            _ => {}
        }
        Vec::new()
    }

    fn next_time_style(&mut self, now: Stamp) {
        let (next, says) = match self.options.times {
            Times::Absolute => (Times::Utc, "times in UTC"),
            Times::Utc => (Times::Relative, "times as how long ago"),
            Times::Relative => (Times::Absolute, "times by the clock here"),
        };
        self.options.times = next;
        self.say(says, Role::Muted, now);
    }

    fn quit(&mut self) -> Vec<Do> {
        self.leave(Leave::Quit)
    }

    /// Goes, unless somebody should first hear what came of a command.
    fn leave(&mut self, leave: Leave) -> Vec<Do> {
        if self.running > 0 && !std::mem::replace(&mut self.quitting, true) {
            let what = if leave == Leave::Quit { "once more quits" } else { "once more leaves" };
            self.toast = Some((crate::clean!("a command is under way: {what}"), Role::Warn, Stamp::EPOCH));
            return Vec::new();
        }
        vec![Do::Leave(leave)]
    }

    /// Where the broker lets us send nothing, we don't offer it.
    fn heed_rights(&mut self, health: Option<&Health>) {
        let refused = health.is_some_and(|health| health.lack(Right::Control).is_some());
        match self.refused {
            None if refused => self.refused = Some(std::mem::replace(&mut self.options.read_only, true)),
            Some(asked_for) if !refused => {
                self.options.read_only = asked_for;
                self.refused = None;
            }
            _ => {}
        }
    }

    /// Copies everything that will be seen out of the model.
    pub fn sync(&mut self, model: &Model, world: &World<'_>) {
        self.unsynced = false;
        self.heed_rights(world.health);
        // The frame that says we are connected takes the keys of the tabs.
        if world.link.is_live() {
            self.welcome = None;
        }
        self.offer(world.link);
        if let Some(why) = self.options.replay.as_ref().and_then(Controls::trouble) {
            self.say(&why, Role::Fail, world.now);
        }
        let receipts = std::mem::take(&mut self.receipts);
        let steps = std::mem::take(&mut self.steps);
        let recording = self.recording.take();
        let options = std::mem::take(&mut self.options);
        let now = self.paused.map_or(world.now, |(at, _)| at);
        let cx = Cx {
            model,
            now,
            as_of: None,
            zone: &options.zone,
            options: &options,
            size: content(world.size),
            link: world.link,
            health: world.health,
            receipts: &receipts,
            steps: &steps,
            paused: self.paused.is_some(),
            round_trip: self.round_trip,
            recording: recording.as_ref(),
        };
        self.header.sync(&options.profile, self.round_trip, &Cx { now: world.now, ..cx });
        let first = self.layers.iter().rposition(|l| !l.is_overlay());
        if first.is_none() {
            self.base().sync(&cx);
        }
        for layer in self.layers.iter_mut().skip(first.unwrap_or(0)) {
            // Layers live in real time: a question counts how long it could be read.
            layer.sync(&Cx { now: world.now, ..cx });
        }
        self.receipts = receipts;
        self.steps = steps;
        self.recording = recording;
        self.options = options;
        self.sync_notes(model, world);
        self.sync_crumbs();
        self.sync_hints(model, world);
    }

    fn sync_notes(&mut self, model: &Model, world: &World<'_>) {
        self.notes.clear();
        if let Some((since, seen)) = self.paused {
            let held = model.counters().seen.saturating_sub(seen);
            let time = crate::human::clock(since, &self.options.zone);
            let held = crate::human::count_of(held, "event");
            self.notes.push((crate::clean!("paused at {time}, {held} since"), Role::Warn));
        }
        let lacks = |right| world.health.is_some_and(|health| health.lack(right).is_some());
        if lacks(Right::Events) {
            self.notes.push((Clean::own("NO EVENTS: no permission"), Role::Warn));
        }
        if let Some(alarm) = world.health.and_then(|health| health.alarm()) {
            let kind = ["memory", "disk"].into_iter().find(|kind| alarm.starts_with(kind));
            let kind = kind.map_or(String::new(), |kind| format!("{} ", kind.to_uppercase()));
            self.notes.push((crate::clean!("{kind}ALARM: nothing can be sent"), Role::Fail));
        }
        if lacks(Right::Control) {
            self.notes.push((Clean::own("READ-ONLY: no permission"), Role::Warn));
        } else if self.options.read_only && self.options.replay.is_none() {
            self.notes.push((Clean::own("READ-ONLY"), Role::Warn));
        }
        // A message of before the session's first frame has no time yet.
        if let Some((_, _, at)) = &mut self.toast {
            if *at == Stamp::EPOCH {
                *at = world.now;
            }
            if world.now.since(*at) >= TOAST {
                self.toast = None;
            }
        }
    }

    /// Paints the copy. Returns where the text cursor stands, if a field is open.
    pub fn draw(&mut self, buffer: &mut Buffer, now: Stamp) -> Option<(u16, u16)> {
        let area = buffer.area;
        let (theme, zone, keys) = (self.options.theme, self.options.zone.clone(), self.options.keys.clone());
        buffer.set_style(area, theme.background());
        let mut page = Page { buffer, theme, now, zone: &zone, keys: &keys, clicks: Vec::new(), cursor: None };
        if area.width < LEAST.0 || area.height < LEAST.1 {
            let text = crate::clean!("at least {}x{}", LEAST.0, LEAST.1);
            page.put(area.x, area.y + area.height / 2, area.width, &text, Role::Muted);
            self.clicks.clear();
            return None;
        }
        let line = |y: u16| Rect { x: area.x, y, width: area.width, height: u16::from(y < area.y + area.height) };
        self.header.draw(&mut page, line(area.y));
        if area.height > 1 {
            header::tabs(&mut page, line(area.y + 1), (&self.titles, self.tab), &self.crumbs, &self.notes);
        }
        let body = Rect { y: area.y + 2, height: content(area.as_size()).height, ..area };
        if body.height > 0 && area.height > 3 {
            let first = self.layers.iter().rposition(|l| !l.is_overlay());
            match (first, &self.welcome) {
                (None, Some(welcome)) => welcome.draw(&mut page, body),
                (None, None) => self.tabs[self.tab].draw(&mut page, body),
                _ => {}
            }
            let last = self.layers.len().saturating_sub(1);
            for (i, layer) in self.layers.iter().enumerate().skip(first.unwrap_or(0)) {
                if i == last && layer.is_overlay() {
                    // What lies on top is exclusive for the mouse too.
                    page.clicks.clear();
                }
                layer.draw(&mut page, body);
            }
        }
        self.draw_last_line(&mut page, line(area.y + area.height.saturating_sub(1)));
        let (clicks, cursor) = (std::mem::take(&mut page.clicks), page.cursor);
        self.clicks = clicks;
        if self.options.ascii {
            for cell in &mut buffer.content {
                if !cell.symbol().is_ascii() {
                    cell.set_symbol(ascii(cell.symbol()));
                }
            }
        }
        cursor
    }

    /// A message, or the keys that make sense now.
    fn draw_last_line(&mut self, page: &mut Page<'_>, area: Rect) {
        if area.height == 0 {
            return;
        }
        if let Some((text, role, _)) = &self.toast {
            let room = area.width.saturating_sub(2);
            page.put(area.x + 1, area.y, room, told::shortened(text, usize::from(room)), *role);
            return;
        }
        self.hints.draw(page, area);
    }

    /// What can be done now. The way back, out, and to all other keys keep their places.
    fn sync_hints(&mut self, model: &Model, world: &World<'_>) {
        let leads_back = match self.layers.last() {
            Some(layer) => !layer.is_overlay(),
            None => !self.returns.is_empty(),
        };
        self.hints = self.with_cx(model, world, |view, cx| Hints::new(view, leads_back, cx));
    }
}

/// Room for a view: two lines above and one below are the app's.
fn content(size: Size) -> Size {
    Size { width: size.width, height: size.height.saturating_sub(3) }
}
