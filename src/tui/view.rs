//! What every tab, full screen and layer is: a [`View`].

use jiff::tz::TimeZone;
use ratatui::layout::{Rect, Size};

use super::Key;
use super::action::{Action, Row, Scope};
use super::options::{Options, Times};
use super::page::{Page, Target};
use crate::broker::{Health, LinkState, Right};
use crate::celery::TaskId;
use crate::clock::Stamp;
use crate::export::Export;
use crate::feed::Interest;
use crate::history::audit::Logged;
use crate::history::lookup::{Found, Request, Ticket};
use crate::history::writer;
use crate::ops::locate::{Answer as Answered, Search};
use crate::ops::{Command, Receipt, Risk, Role, retry};
use crate::state::common::{Chosen, Common};
use crate::state::{Fill, Model, ScanRequest};
use crate::text::{Clean, clean};

/// What a view may look at while it copies or acts.
pub struct Cx<'a> {
    pub model: &'a Model,
    pub now: Stamp,
    /// When what is listed was true, where that is not now: what ran then is not known to run still.
    pub as_of: Option<Stamp>,
    pub zone: &'a TimeZone,
    pub options: &'a Options,
    /// Room the view has.
    pub size: Size,
    pub link: &'a LinkState,
    pub health: Option<&'a Health>,
    pub receipts: &'a [Receipt],
    /// Steps of the commands that are under way.
    pub steps: &'a [(Stamp, String)],
    pub paused: bool,
    /// How long the terminal takes to answer, once that is known.
    pub round_trip: Option<std::time::Duration>,
    /// How writing the history goes, where it is written here.
    pub recording: Option<&'a writer::Status>,
}

static UTC: TimeZone = TimeZone::UTC;

/// Beyond this a time of day alone misleads.
const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

impl Cx<'_> {
    /// When what is listed was true.
    pub fn then(&self) -> Stamp {
        self.as_of.unwrap_or(self.now)
    }

    /// As it was when the link broke, if it is broken: who is silent then, is silent because we hear nothing.
    pub fn last_heard(&self) -> Self {
        match self.link {
            LinkState::Down { since, .. } => Self { now: self.now.min(*since), ..*self },
            _ => Self { ..*self },
        }
    }

    /// A time of day, or how long ago it was; of another day the date.
    pub fn time(&self, at: Stamp) -> String {
        let away = self.now.since(at).max(at.since(self.now));
        match self.options.times {
            Times::Absolute | Times::Utc if away > DAY => crate::human::day(at, self.now, self.shown_zone()),
            Times::Absolute => crate::human::clock(at, self.zone),
            Times::Utc => crate::human::clock(at, &TimeZone::UTC),
            Times::Relative if at > self.now + DAY => format!("+{}", crate::human::span(away.as_secs())),
            Times::Relative => crate::human::span(self.now.since(at).as_secs()),
        }
    }

    /// The zone times are shown in.
    pub fn shown_zone(&self) -> &TimeZone {
        match self.options.times {
            Times::Utc => &UTC,
            _ => self.zone,
        }
    }
}

/// What came of a key.
pub enum Outcome {
    Ignored,
    Done,
    Effect(Effect),
}

/// What a view wants done outside itself.
pub enum Effect {
    /// Ask the person, then run it.
    Ask(Command),
    /// Run it at once: it harms nothing.
    Run(Command),
    /// Send tasks again, once it is known what they were sent with. `refused` are others that can't be, with the reason.
    Retry {
        ids: Vec<TaskId>,
        refused: Vec<String>,
        options: retry::Options,
    },
    /// See to bulk actions that have not ended.
    Bulk(BulkWish),
    Open(Box<dyn View>),
    OpenTask(TaskId),
    /// Show the tasks a filter selects; `Esc` leads back here.
    OpenTasks {
        filter: String,
    },
    /// Show the tasks of the history that a filter selects; `Esc` leads back here.
    OpenHistory {
        filter: String,
    },
    /// Show the workflow a task belongs to.
    OpenWorkflow(TaskId),
    /// Let the person edit a text in an editor of their own; it comes back by [`View::edited`].
    Edit(String),
    /// Put a text into the clipboard of whoever looks.
    Copy {
        what: String,
        text: String,
    },
    /// Write to a file what a list shows.
    Export(Export),
    /// Keep the broker one is on in the settings, under a name.
    Keep(String),
    /// Put another screen in the place of the topmost one.
    Replace(Box<dyn View>),
    /// Close the topmost layer.
    Close,
    /// Close the topmost layer, and say something.
    CloseSaying(String),
    /// Close the topmost layer, and let the view below take this action.
    CloseAnd(Action),
    /// Close the topmost layer, and do something else.
    CloseThen(Box<Effect>),
    /// Close the topmost layer, and give what was typed or chosen to the view below.
    Answer(Answer),
    Say(String),
    /// Go to a tab, by its place.
    GoTab(usize),
    /// Leave for another cluster.
    Leave(Leave),
}

/// What a field or menu gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// What stands in a field, while it is typed (`done` is false) and when it is finished.
    Text {
        text: String,
        done: bool,
    },
    /// The field was left without a change.
    Cancelled,
    Choice(usize),
    /// What stands in the fields of a form, when all of it can be read.
    Fields(Vec<String>),
    /// What was chosen of many, in order.
    Picked(Vec<String>),
}

/// What is wanted of bulk actions that have not ended: all of them, or one by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkWish {
    List,
    Resume(i64),
    Stop(i64),
    Show(i64),
}

/// Why the screen ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leave {
    Quit,
    Demo,
    /// For the broker of this URL.
    Broker(String),
    /// For the cluster of this profile.
    Profile(String),
    /// Nobody did anything for long.
    Idle,
}

/// The scopes that are live on a view: its own, and what can be done with a recording that is played.
pub fn live(view: &dyn View, options: &Options) -> Vec<Scope> {
    let own = view.scopes();
    let replay = (options.replay.is_some() && own.contains(&Scope::Global)).then_some(Scope::Replay);
    own.iter().copied().chain(replay).collect()
}

/// Why nothing that changes the cluster can be sent from here, if nothing can.
pub fn barred(options: &Options, health: Option<&Health>) -> Option<String> {
    if options.replay.is_some() {
        return Some("this is a recording, the past takes no commands".into());
    }
    match health.and_then(|health| health.lack(Right::Control)) {
        Some(lack) => Some(format!("no permission to {}", lack.what)),
        None if options.role == Some(Role::Viewer) => Some("the role viewer only reads".into()),
        None => options.read_only.then(|| "read-only".into()),
    }
}

/// Why an action sends nothing, if that is what it would do and nothing can be sent.
pub fn unsent(row: &Row, options: &Options, health: Option<&Health>) -> Option<String> {
    // A look that leaves marks says so itself where it is refused; a ping changes nothing, and is sent all the same.
    let sends = match row.action {
        Action::LookInside => false,
        Action::WorkerPing => health.is_some_and(|health| health.lack(Right::Control).is_some()),
        _ => row.risk > Risk::Looks,
    };
    if sends { barred(options, health) } else { None }
}

/// Why an action can't be taken on a view now, if it can't.
pub fn refusal(view: &dyn View, row: &Row, cx: &Cx<'_>) -> Option<Clean> {
    let why = unsent(row, cx.options, cx.health).or_else(|| view.refuse(row.action, cx));
    why.map(|why| clean(&why))
}

/// A tab, a full screen, or something that lies on top.
pub trait View: Send {
    /// Which rows of the action table are live, the nearest first.
    fn scopes(&self) -> &'static [Scope];

    /// Takes an action.
    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome;

    /// Why an action can't be taken now, if it can't.
    fn refuse(&self, _action: Action, _cx: &Cx<'_>) -> Option<String> {
        None
    }

    /// An action that the moment asks for, with a word for it: it leads the hint line.
    fn urges(&self) -> Option<(Action, &'static str)> {
        None
    }

    /// Tasks were sent again: they are no longer chosen.
    fn sent_again(&mut self, _tasks: &[TaskId]) {}

    /// What an action would be taken on, in words, where a refusal has to name it.
    fn subject(&self, _cx: &Cx<'_>) -> Option<String> {
        None
    }

    /// Takes a key that is no action: for fields.
    fn type_key(&mut self, _key: &Key) -> Outcome {
        Outcome::Ignored
    }

    /// Takes pasted text: for fields.
    fn paste(&mut self, _text: &str) -> Outcome {
        Outcome::Ignored
    }

    /// Takes a text that was edited elsewhere.
    fn edited(&mut self, _text: &str) {}

    /// Takes the answer of a layer it opened.
    fn answer(&mut self, _answer: &Answer, _cx: &mut Cx<'_>) -> Outcome {
        Outcome::Ignored
    }

    /// The mouse that clicked on a place is dragged to another of its kind.
    fn drag(&mut self, _target: Target) {}

    /// Takes a click on a place it registered.
    fn click(&mut self, _target: Target, _cx: &mut Cx<'_>) -> Outcome {
        Outcome::Ignored
    }

    /// Copies what will be seen out of the model.
    fn sync(&mut self, cx: &Cx<'_>);

    /// Paints the copy.
    fn draw(&self, page: &mut Page<'_>, area: Rect);

    /// Selects by a filter that came from elsewhere.
    fn filter_by(&mut self, _filter: &str) {}

    /// What it shows at the moment, for the way back to it.
    fn filtered_by(&self) -> String {
        String::new()
    }

    /// Gives the details below its list so many rows.
    fn resize_details(&mut self, _rows: u16) {}

    /// What can be copied from it: a name for each text.
    fn copies(&self, _cx: &Cx<'_>) -> Vec<(String, String)> {
        Vec::new()
    }

    /// One or two words on where one is, for the way back in the second line.
    fn crumb(&self) -> Option<String> {
        None
    }

    /// What workers should be asked about while this is on screen.
    fn interest(&self) -> Interest {
        Interest::default()
    }

    /// A scan somebody has to do for it.
    fn wants_scan(&mut self) -> Option<ScanRequest> {
        None
    }

    /// What came of the scan it wanted. It gives back what it does not need any more, which is let go of elsewhere.
    fn scanned(&mut self, fill: Fill) -> Option<Fill> {
        Some(fill)
    }

    /// Much has changed since it was last brought up to date: it may take in some of it now, so that doing so does not
    /// take long later.
    fn keep_up(&mut self, _model: &Model) {}

    /// Whose common traits somebody has to find for it.
    fn wants_common(&mut self) -> Option<Chosen> {
        None
    }

    /// What they have in common.
    fn compared(&mut self, _common: Common) {}

    /// What somebody has to look up in the history for it.
    fn wants_lookups(&mut self) -> Vec<Request> {
        Vec::new()
    }

    /// An answer to something it wanted looked up.
    fn looked_up(&mut self, _ticket: &Ticket, _found: Found, _cx: &mut Cx<'_>) -> Outcome {
        Outcome::Done
    }

    /// The audit log, read anew.
    fn logged(&mut self, _log: Result<Vec<Logged>, String>) {}

    /// What somebody has to look for in the whole cluster for it.
    fn wants_search(&mut self) -> Option<Search> {
        None
    }

    /// An answer to what it wanted looked for.
    fn searched(&mut self, _ticket: &Ticket, _answer: Answered) {}

    /// Milliseconds that should pass between two frames that only bring new data.
    fn pause_between(&self) -> u64 {
        100
    }

    /// Whether the view below stays visible.
    fn is_overlay(&self) -> bool {
        false
    }
}
