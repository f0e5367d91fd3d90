//! One worker on the whole screen: the same inner tabs as in the pane, with a cursor in their rows.

use ratatui::layout::Rect;

use crate::celery::TaskId;
use crate::feed::Interest;
use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::layers::Prompt;
use crate::tui::page::{Page, Target};
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};
use crate::tui::views::list::Cursor;
use crate::tui::views::task::Line;
use crate::tui::views::tasks::act;
use crate::tui::widgets::tabs;

use super::columns;
use super::forms::{self, Forms, Meant};
use super::pane::{Content, Inner, Key, content};

/// What a layer was opened for, apart from forms.
#[derive(Default)]
enum Asking {
    #[default]
    Nothing,
    Filter,
    Signal(Vec<TaskId>),
}

/// See the module.
pub struct WorkerScreen {
    name: String,
    inner: Inner,
    cursor: Cursor<Key>,
    keys: Vec<Key>,
    content: Content,
    selected: Option<usize>,
    title: Line,
    filter: String,
    forms: Forms,
    asking: Asking,
    height: usize,
}

impl WorkerScreen {
    pub fn new(name: String, inner: Inner) -> Self {
        Self {
            name,
            inner,
            cursor: Cursor::default(),
            keys: Vec::new(),
            content: Content::default(),
            selected: None,
            title: Vec::new(),
            filter: String::new(),
            forms: Forms::default(),
            asking: Asking::Nothing,
            height: 0,
        }
    }

    fn show(&mut self, inner: Inner) {
        self.inner = inner;
        self.cursor = Cursor::default();
        self.filter.clear();
    }

    /// The tasks that a key acts on.
    fn tasks(&self) -> Vec<TaskId> {
        let task = |key: Key| match key {
            Key::Task(id) => Some(id),
            _ => None,
        };
        self.cursor.chosen().into_iter().filter_map(task).collect()
    }

    fn meant(&self) -> Meant<'_> {
        let name = match &self.cursor.at {
            Some(Key::Name(name)) => Some(name.as_str()),
            _ => None,
        };
        Meant {
            queue: name.filter(|_| self.inner == Inner::Queues),
            task: name.filter(|_| matches!(self.inner, Inner::Registered | Inner::Limits)),
        }
    }

    /// A task on its own screen; the tasks of a queue or of a name.
    fn open(&self) -> Outcome {
        let meant = self.meant();
        let filter = match (&self.cursor.at, meant.queue, meant.task) {
            (Some(Key::Task(id)), _, _) => return Outcome::Effect(Effect::OpenTask(id.clone())),
            (_, Some(queue), _) => format!("queue:={}", crate::filter::quoted(queue)),
            (_, _, Some(task)) => format!("task:={}", crate::filter::quoted(task)),
            _ => return super::their_tasks([self.name.as_str()]),
        };
        Outcome::Effect(Effect::OpenTasks { filter })
    }

    fn order(&mut self, action: Action, cx: &Cx<'_>) -> Outcome {
        let mut forms = std::mem::take(&mut self.forms);
        let outcome = forms.perform(action, vec![self.name.clone()], &self.meant(), cx);
        self.forms = forms;
        outcome.unwrap_or(Outcome::Ignored)
    }
}

impl View for WorkerScreen {
    fn scopes(&self) -> &'static [Scope] {
        match self.inner {
            inner if inner.has_tasks() => {
                &[Scope::Opens, Scope::HasTasks, Scope::Panes, Scope::Tasks, Scope::Filters, Scope::List, Scope::Global]
            }
            Inner::Config | Inner::Stats => {
                &[Scope::HasTasks, Scope::Panes, Scope::Filters, Scope::List, Scope::Workers, Scope::Global]
            }
            _ => &[
                Scope::HasTasks,
                Scope::Opens,
                Scope::Panes,
                Scope::Filters,
                Scope::List,
                Scope::Workers,
                Scope::Global,
            ],
        }
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        if self.cursor.perform(action, &self.keys, self.height) {
            return Outcome::Done;
        }
        match action {
            Action::NextPane => self.show(self.inner.step(1)),
            Action::PreviousPane => self.show(self.inner.step(Inner::ALL.len() - 1)),
            Action::Filter => {
                self.asking = Asking::Filter;
                let prompt = Prompt::line("filter", &self.filter, |_| Ok(()), Vec::new());
                return Outcome::Effect(Effect::Open(Box::new(prompt)));
            }
            Action::Open => return self.open(),
            Action::TheirTasks => return super::their_tasks([self.name.as_str()]),
            Action::Back if !self.filter.is_empty() => self.filter.clear(),
            Action::Back if !self.cursor.marks.is_empty() => self.cursor.marks.clear(),
            Action::Back => return Outcome::Effect(Effect::Close),
            Action::TaskTerminate => {
                self.asking = Asking::Signal(self.tasks());
                return Outcome::Effect(Effect::Open(Box::new(act::signals())));
            }
            _ if self.inner.has_tasks() => return act::perform(action, &self.tasks(), cx.model),
            _ => return self.order(action, cx),
        }
        Outcome::Done
    }

    fn refuse(&self, action: Action, cx: &Cx<'_>) -> Option<String> {
        match self.inner.has_tasks() {
            true => act::refuse(action, &self.tasks(), cx.model),
            false => forms::refuse(action, [self.name.as_str()], cx),
        }
    }

    fn answer(&mut self, answer: &Answer, _cx: &mut Cx<'_>) -> Outcome {
        match (std::mem::take(&mut self.asking), answer) {
            (Asking::Filter, Answer::Text { text, done }) => {
                self.filter = text.clone();
                if !done {
                    self.asking = Asking::Filter;
                }
            }
            (Asking::Filter, _) => self.filter.clear(),
            (Asking::Signal(ids), answer) => return act::terminate(answer, ids),
            (Asking::Nothing, answer) => return self.forms.answer(answer).unwrap_or(Outcome::Done),
        }
        Outcome::Done
    }

    fn click(&mut self, target: Target, _cx: &mut Cx<'_>) -> Outcome {
        match target {
            Target::Row(row) => self.cursor.go(self.cursor.top + row, &self.keys),
            Target::Pane(place) => self.show(Inner::at(place)),
            _ => return Outcome::Ignored,
        }
        Outcome::Done
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        let cx = &cx.last_heard();
        let Some(worker) = cx.model.worker(&self.name) else {
            let gone = "This worker ended more than an hour ago, and is not remembered.";
            self.content = Content { head: vec![vec![(Clean::own(gone), Role::Muted)]], ..Content::default() };
            (self.keys, self.selected) = (Vec::new(), None);
            self.title = vec![(clean(&self.name), Role::Text)];
            return;
        };
        let (sign, role) = columns::sign(worker.presence(cx.now));
        let (status, status_role) = columns::status(worker, cx);
        self.title = vec![
            (crate::clean!("{sign} "), role),
            (clean(&self.name), Role::Text),
            (crate::clean!("  {status}"), status_role),
        ];
        let width = usize::from(cx.size.width.saturating_sub(4));
        self.content = content(self.inner, worker, cx, width);
        let search = self.filter.to_lowercase();
        if !search.is_empty() {
            self.title.push((crate::clean!("   filter {}", self.filter), Role::Accent));
            self.content.rows.retain(|(_, line)| {
                line.iter().map(|(text, _)| text.as_str()).collect::<String>().to_lowercase().contains(&search)
            });
        }
        self.keys = self.content.rows.iter().map(|(key, _)| key.clone()).collect();
        self.cursor.marks.retain(|mark| self.keys.contains(mark));
        if !self.cursor.marks.is_empty() {
            self.title.push((crate::clean!("   {} marked", self.cursor.marks.len()), Role::Accent));
        }
        let above = 3 + self.content.head.len();
        self.height = usize::from(cx.size.height).saturating_sub(above);
        self.selected = self.cursor.settle(&self.keys, self.height);
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        let age: usize = self.content.age.iter().map(|(t, _)| t.width()).sum();
        let used = page.pieces(area.x + 1, area.y, area.width.saturating_sub(2), &self.title);
        let x = (area.x + area.width).saturating_sub(age as u16 + 1).max(area.x + used + 3);
        page.pieces(x, area.y, (area.x + area.width).saturating_sub(x + 1), &self.content.age);
        inner_tabs(
            page,
            Rect { x: area.x + 1, y: area.y + 1, width: area.width.saturating_sub(2), height: 1 },
            self.inner,
        );
        let bottom = area.y + area.height;
        for (line, y) in self.content.head.iter().zip(area.y + 3..bottom) {
            page.pieces(area.x + 2, y, area.width.saturating_sub(4), line);
        }
        let y = area.y + 3 + self.content.head.len() as u16;
        let rows = self.content.rows.iter().enumerate().skip(self.cursor.top).take(self.height);
        for ((i, (key, line)), y) in rows.zip(y..bottom) {
            let row = Rect { y, height: 1, ..area };
            if self.selected == Some(i) {
                page.select(row);
            }
            match self.cursor.marks.contains(key) {
                true => page.put(area.x, y, 1, Clean::own("•"), Role::Accent),
                false if self.selected == Some(i) => page.put(area.x, y, 1, Clean::own("▌"), Role::Accent),
                false => 0,
            };
            page.clickable(row, Target::Row(i - self.cursor.top));
            page.pieces(area.x + 2, y, area.width.saturating_sub(4), line);
        }
    }

    fn crumb(&self) -> Option<String> {
        Some(self.name.clone())
    }

    fn copies(&self, cx: &Cx<'_>) -> Vec<(String, String)> {
        let mut copies = vec![("worker".to_owned(), self.name.clone())];
        let worker = cx.model.worker(&self.name);
        copies.extend(worker.map(|worker| ("report".to_owned(), super::report(&self.name, worker, cx))));
        match &self.cursor.at {
            Some(Key::Task(id)) => copies.push(("task id".into(), id.to_string())),
            Some(Key::Name(name)) => copies.push(("name".into(), name.clone())),
            _ => {}
        }
        copies
    }

    fn interest(&self) -> Interest {
        let inspect = self.inner.asks().map(|method| (self.name.clone(), method));
        Interest { workers: true, consumers: true, inspect, ..Interest::default() }
    }

    fn pause_between(&self) -> u64 {
        1_000
    }
}

/// The titles of the inner tabs.
pub fn inner_tabs(page: &mut Page<'_>, area: Rect, chosen: Inner) {
    let titles = Inner::ALL.map(|(_, title)| title);
    tabs::draw(page, area, &titles, chosen.place());
}
