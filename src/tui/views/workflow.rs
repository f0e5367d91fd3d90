//! The workflow a task belongs to, as a tree: who called whom, on one axis of time. Follows live.

mod shape;

use std::collections::{HashMap, HashSet};

use ratatui::layout::Rect;

use crate::celery::TaskId;
use crate::celery::canvas::CanvasStep;
use crate::clock::Stamp;
use crate::feed::{Interest, ResultLook};
use crate::filter;
use crate::human;
use crate::state::{Fill, LiveQuery, Model, ScanRequest, Sort, State, Task};
use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::page::{Page, Target};
use crate::tui::theme::{self, Role};
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};
use crate::tui::widgets::table::{Cell, Column, Row, Table};

use super::list::Cursor;
use super::task::{self, Line};
use super::tasks::act;
use shape::Kind;

/// See the module.
pub struct WorkflowScreen {
    /// The task it was opened on.
    id: TaskId,
    root: Option<TaskId>,
    kind: Kind,
    /// What was known of groups when its tasks were last selected.
    learnt: Option<u64>,
    query: LiveQuery,
    tree: Tree,
    /// Tasks that waited for a whole group.
    bodies: HashSet<TaskId>,
    built: u64,
    folded: HashSet<TaskId>,
    cursor: Cursor<TaskId>,
    /// What is not folded away, in the order of the screen.
    rows: Vec<TaskId>,
    table: Table,
    head: Line,
    signals_for: Option<TaskId>,
    height: usize,
}

/// One task of the tree.
struct Node {
    id: TaskId,
    depth: u16,
    /// A task that is yet to come, as the message of another told.
    ghost: Option<Ghost>,
    /// Lines of the tree that stand before its name.
    branch: String,
    /// Tasks below it, all of them.
    below: usize,
}

/// A task that has not been sent.
struct Ghost {
    name: String,
    /// What it waits for.
    note: String,
}

/// The tree from the top, each task behind the one that called it.
#[derive(Default)]
struct Tree {
    nodes: Vec<Node>,
    /// When the first began, and when the last ended; `None` while some are unfinished.
    span: Option<(Stamp, Option<Stamp>)>,
    states: [usize; 9],
}

/// Deeper levels are drawn as this one: a recursion of thousands has to fit.
const DEEPEST: u16 = 24;

impl Tree {
    /// Orders tasks, which come by time, below those that called them.
    /// Bodies of chords stand beside the group they waited for.
    fn build(tasks: &[Task<'_>], bodies: &HashSet<TaskId>, folded: &HashSet<TaskId>) -> Self {
        let places: HashMap<&TaskId, usize> = tasks.iter().enumerate().map(|(i, task)| (task.id(), i)).collect();
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); tasks.len()];
        let mut tops = Vec::new();
        for (i, task) in tasks.iter().enumerate() {
            let caller = |task: &Task<'_>| task.parent().and_then(|parent| places.get(parent)).copied();
            let parent = match caller(task) {
                Some(member) if bodies.contains(task.id()) => caller(&tasks[member]),
                parent => parent,
            };
            match parent.filter(|parent| *parent != i) {
                Some(parent) => children[parent].push(i),
                None => tops.push(i),
            }
        }
        let mut tree = Self::default();
        let mut seen = vec![false; tasks.len()];
        // A cycle of parents has no top: its first task stands in for one.
        for top in tops.into_iter().chain(0..tasks.len()) {
            tree.add(top, tasks, &children, &mut seen, folded);
        }
        let begins = tasks.iter().filter_map(|task| task.seen());
        let unfinished = tasks.iter().any(|task| !task.state().is_ready());
        let ends = tasks.iter().filter_map(|task| task.finished());
        let end = if unfinished { None } else { ends.max() };
        tree.span = begins.min().map(|begin| (begin, end));
        tasks.iter().for_each(|task| tree.states[task.state() as usize] += 1);
        tree
    }

    /// Adds a task and what it called, without recursion: a chain can be ten thousand long.
    fn add(
        &mut self,
        top: usize,
        tasks: &[Task<'_>],
        children: &[Vec<usize>],
        seen: &mut [bool],
        folded: &HashSet<TaskId>,
    ) {
        struct Step {
            task: usize,
            depth: u16,
            last: bool,
            before: String,
        }
        let mut stack = vec![Step { task: top, depth: 0, last: true, before: String::new() }];
        let mut open: Vec<(u16, usize)> = Vec::new();
        let mut hidden: Option<u16> = None;
        while let Some(step) = stack.pop() {
            if std::mem::replace(&mut seen[step.task], true) {
                continue;
            }
            // Those that are not above this one are complete.
            while open.last().is_some_and(|(depth, _)| *depth >= step.depth) {
                open.pop();
            }
            for (_, node) in &open {
                self.nodes[*node].below += 1;
            }
            if hidden.is_some_and(|depth| step.depth <= depth) {
                hidden = None;
            }
            let task = &tasks[step.task];
            let branch = match step.depth {
                0 => String::new(),
                _ => format!("{}{} ", step.before, if step.last { "└─" } else { "├─" }),
            };
            if hidden.is_none() {
                open.push((step.depth, self.nodes.len()));
                self.nodes.push(Node { id: task.id().clone(), depth: step.depth, ghost: None, branch, below: 0 });
                if folded.contains(task.id()) {
                    hidden = Some(step.depth);
                }
            }
            let before = match step.depth {
                0 => String::new(),
                depth if depth >= DEEPEST => step.before.clone(),
                _ => format!("{}{}", step.before, if step.last { "   " } else { "│  " }),
            };
            // A line of calls in a row stays where it is: only where there are siblings does it go one step in.
            for (i, &child) in children[step.task].iter().enumerate().rev() {
                let last = i + 1 == children[step.task].len();
                stack.push(Step { task: child, depth: step.depth.saturating_add(1), last, before: before.clone() });
            }
        }
    }
}

impl Tree {
    /// Adds what is yet to come, as far as a message that was looked at told: the rest of chains, chords, callbacks.
    fn add_ghosts(&mut self, model: &Model) {
        let mut groups: HashMap<&str, (usize, usize)> = HashMap::new();
        for node in &self.nodes {
            if let Some(group) = model.canvas(&node.id).and_then(|canvas| canvas.group.as_deref()) {
                let ended = model.task(&node.id).is_some_and(|task| task.state().is_ready());
                let (left, all) = groups.entry(group).or_default();
                *left += usize::from(!ended);
                *all += 1;
            }
        }
        let mut announced: HashSet<TaskId> = HashSet::new();
        let mut found: Vec<(usize, Ghost, TaskId)> = Vec::new();
        for (i, node) in self.nodes.iter().enumerate() {
            let Some(canvas) = model.canvas(&node.id) else { continue };
            let mut add = |step: &CanvasStep, note: String| {
                let id = step.id.clone().unwrap_or_else(|| TaskId::new(&format!("{} after {}", step.task, node.id)));
                if model.task(&id).is_none() && announced.insert(id.clone()) {
                    found.push((i, Ghost { name: step.task.clone(), note }, id));
                }
            };
            for (n, step) in canvas.chain.iter().enumerate() {
                add(step, if n == 0 { "runs next".into() } else { "runs after that".into() });
            }
            if let Some(step) = &canvas.chord {
                let waits = canvas.group.as_deref().and_then(|group| groups.get(group));
                add(
                    step,
                    waits.map_or("waits for its group".into(), |(left, all)| format!("waits for {left} of {all}")),
                );
            }
            canvas.callbacks.iter().for_each(|step| add(step, "runs if that succeeds".into()));
            canvas.errbacks.iter().for_each(|step| add(step, "runs if that fails".into()));
        }
        // From the end, so that the places of those before stay true.
        for (i, ghost, id) in found.into_iter().rev() {
            let (depth, branch) = (self.nodes[i].depth, &self.nodes[i].branch);
            let branch = format!("{}└┄ ", branch.replace("├─ ", "│  ").replace("└─ ", "   "));
            let end = self.nodes[i + 1..].iter().position(|n| n.depth <= depth).map_or(self.nodes.len(), |n| i + 1 + n);
            self.nodes.insert(end, Node { id, depth: depth.saturating_add(1), ghost: Some(ghost), branch, below: 0 });
        }
    }
}

impl WorkflowScreen {
    pub fn new(id: TaskId) -> Self {
        let filter = filter::parse(&format!("id:={id}")).unwrap_or_default();
        Self {
            id,
            root: None,
            kind: Kind::default(),
            learnt: None,
            query: LiveQuery::new(filter, Sort { descending: false, ..Sort::default() }),
            tree: Tree::default(),
            bodies: HashSet::new(),
            built: 0,
            folded: HashSet::new(),
            cursor: Cursor::default(),
            rows: Vec::new(),
            table: Table::default(),
            head: Vec::new(),
            signals_for: None,
            height: 0,
        }
    }

    /// The root becomes known with the task; its workflow is what shares it.
    fn find_root(&mut self, model: &Model) {
        // The task itself may know no root, as those of old senders.
        let root = model.task(&self.id).map(|task| task.root().unwrap_or_else(|| self.id.clone()));
        let Some(root) = root.or_else(|| self.root.clone()) else { return };
        let learnt = Some(model.canvas_version());
        if self.root.as_ref() != Some(&root) || self.learnt != learnt {
            self.query.set_filter(shape::filter(&self.id, &root, &self.rows, model));
            if self.learnt.is_none() {
                self.cursor.at = Some(self.id.clone());
            }
            (self.root, self.learnt) = (Some(root), learnt);
            self.built = 0;
        }
    }

    fn tasks<'m>(&self, model: &'m Model) -> Vec<Task<'m>> {
        let all = self.query.first().into_iter().flat_map(|first| self.query.from(first));
        let mut tasks: Vec<Task<'m>> = all.filter_map(|place| self.query.task(place, model)).collect();
        if tasks.is_empty() {
            tasks.extend(model.task(&self.id));
        }
        tasks
    }

    fn sync_head(&mut self, name: &str, cx: &Cx<'_>) {
        let total: usize = self.tree.states.iter().sum();
        let mut head: Line = vec![
            (Clean::own(self.kind.word()), Role::Heading),
            (clean(name), Role::Text),
            (crate::clean!("   {}   ", crate::ops::command::plural(total, "task")), Role::Text),
        ];
        for state in State::NAMED.into_iter().chain([State::Custom]) {
            let n = self.tree.states[state as usize];
            if n > 0 {
                let role = if state == State::Success { Role::Ok } else { theme::role(state) };
                head.push((crate::clean!("{} {}  ", human::thousands(n as u64), theme::glyph(state)), role));
            }
        }
        if let Some((begin, end)) = self.tree.span {
            let so_far = if end.is_none() { " so far" } else { "" };
            let took = end.unwrap_or(cx.now).since(begin).as_secs_f64();
            head.push((crate::clean!(" {}{so_far}", human::seconds(took)), Role::Muted));
        }
        self.head = head;
    }

    fn chosen(&self) -> Vec<TaskId> {
        self.cursor.at.iter().cloned().collect()
    }
}

fn columns(width: u16) -> Vec<Column> {
    let (sign, name) = (Column::left("", 1), Column::left("TASK", 0));
    let time = Column::right("TIME", 8);
    match width {
        0..70 => vec![sign, name, time],
        70..110 => vec![sign, name, Column::left("TIMELINE", 24), time],
        _ => vec![
            sign,
            name,
            Column::left("ID", 8),
            Column::left("WORKER", 12),
            Column::left("TIMELINE", width / 5),
            time,
            Column::left("NOTE", 19),
        ],
    }
}

/// How a node is shown.
struct Look {
    folded: bool,
    /// It waited for a whole group.
    body: bool,
    span: (Stamp, Stamp),
}

fn row(node: &Node, task: &Task<'_>, columns: &[Column], look: &Look, cx: &Cx<'_>) -> Row {
    let (glyph, role) = theme::sign(task);
    let cells = columns
        .iter()
        .map(|column| match column.title {
            "" => Cell::new(Clean::own(glyph), role),
            "TASK" => {
                let more =
                    if look.folded && node.below > 0 { format!("  ▸ {} more", node.below) } else { String::new() };
                Cell::plain(crate::clean!("{}{}{more}", node.branch, task.name().unwrap_or("(name not known)")))
            }
            "ID" => Cell::new(clean(&task.id().short()), Role::Faint),
            "WORKER" => Cell::new(clean(task.worker().unwrap_or("")), Role::Muted),
            "TIMELINE" => {
                let role = if task.state() == State::Success { Role::Ok } else { role };
                Cell::new(bar(task, usize::from(column.width), look.span, cx.now), role)
            }
            "TIME" => {
                Cell::new(took(task, cx), if task.state() == State::Started { Role::Running } else { Role::Muted })
            }
            _ => match note(task, cx) {
                Some(note) => note,
                None if look.body => Cell::new(Clean::own("ran after the group"), Role::Faint),
                None => Cell::default(),
            },
        })
        .collect();
    Row { cells, marked: false, role: None }
}

fn ghost_row(node: &Node, ghost: &Ghost, columns: &[Column]) -> Row {
    let has_note = columns.iter().any(|column| column.title == "NOTE");
    let cells = columns
        .iter()
        .map(|column| match column.title {
            "" => Cell::new(Clean::own("○"), Role::Faint),
            "TASK" if has_note => Cell::plain(crate::clean!("{}{}", node.branch, ghost.name)),
            "TASK" => Cell::plain(crate::clean!("{}{}  {}", node.branch, ghost.name, ghost.note)),
            "NOTE" => Cell::new(clean(&ghost.note), Role::Muted),
            _ => Cell::default(),
        })
        .collect();
    Row { cells, marked: false, role: Some(Role::Faint) }
}

fn took(task: &Task<'_>, cx: &Cx<'_>) -> Clean {
    let ran = task.runtime().or_else(|| Some(task.finished()?.since(task.started()?).as_secs_f64()));
    match task.running(cx.now) {
        Some(secs) => clean(&human::span(secs as u64)),
        None => clean(&ran.map(human::seconds).unwrap_or_default()),
    }
}

/// What it failed with, or what it waits for.
fn note(task: &Task<'_>, cx: &Cx<'_>) -> Option<Cell> {
    match task.state() {
        _ if task.lost().is_some() => Some(Cell::new(clean(&task.lost_reason().unwrap_or_default()), Role::Lost)),
        State::Failure | State::Retry => {
            Some(Cell::new(clean(task.exception_type().unwrap_or_default()), theme::role(task.state())))
        }
        State::Pending | State::Received => {
            let waits = match (task.due(cx.now).filter(|secs| *secs > 0.0), task.state(), task.queue()) {
                (Some(secs), ..) => format!("starts in {}", human::span(secs as u64)),
                (None, State::Received, _) => "waits for a process".into(),
                (None, _, Some(queue)) => format!("waits in {queue}"),
                (None, _, None) => "waits in its queue".into(),
            };
            Some(Cell::new(clean(&waits), Role::Muted))
        }
        _ => None,
    }
}

/// Waiting dotted, running solid.
fn bar(task: &Task<'_>, width: usize, (from, to): (Stamp, Stamp), now: Stamp) -> Clean {
    let span = to.since(from).as_secs_f64().max(1e-6);
    let place = |at: Stamp| ((at.since(from).as_secs_f64() / span * width as f64) as usize).min(width);
    let Some(begin) = task.seen() else { return Clean::default() };
    let end = task.finished().unwrap_or(now);
    let first = task.sent().unwrap_or(begin).min(begin);
    let (first, stop) = (place(first).min(width.saturating_sub(1)), place(end));
    let start = task.started().map_or(stop, place).clamp(first, stop.max(first));
    let solid = stop.saturating_sub(start).max(usize::from(task.started().is_some()));
    crate::clean!(
        "{}{}{}",
        " ".repeat(first),
        "┄".repeat(start - first),
        "━".repeat(solid.min(width - start.min(width)))
    )
}

impl View for WorkflowScreen {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Opens, Scope::Tasks, Scope::Tree, Scope::Panes, Scope::List, Scope::Global]
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        match action {
            Action::Back | Action::Workflow | Action::NextPane => return Outcome::Effect(Effect::Close),
            Action::PreviousPane => {
                return Outcome::Effect(Effect::Replace(Box::new(task::TaskScreen::new(self.id.clone()))));
            }
            Action::Open => {
                return self.cursor.at.clone().map_or(Outcome::Done, |id| Outcome::Effect(Effect::OpenTask(id)));
            }
            Action::TreeFold => {
                if let Some(id) = self.cursor.at.clone()
                    && !self.folded.remove(&id)
                {
                    self.folded.insert(id);
                }
                self.built = 0;
            }
            Action::TaskTerminate => {
                self.signals_for = self.cursor.at.clone();
                return Outcome::Effect(Effect::Open(Box::new(act::signals())));
            }
            _ if self.cursor.perform(action, &self.rows, self.height) => {}
            _ => return act::perform(action, &self.chosen(), cx.model),
        }
        Outcome::Done
    }

    fn refuse(&self, action: Action, cx: &Cx<'_>) -> Option<String> {
        act::refuse(action, &self.chosen(), cx.model)
    }

    fn answer(&mut self, answer: &Answer, _cx: &mut Cx<'_>) -> Outcome {
        act::terminate(answer, self.signals_for.take().into_iter().collect())
    }

    fn click(&mut self, target: Target, _cx: &mut Cx<'_>) -> Outcome {
        let Target::Row(row) = target else { return Outcome::Ignored };
        let before = self.cursor.at.clone();
        self.cursor.go(self.cursor.top + row, &self.rows);
        match self.cursor.at.clone() {
            Some(id) if Some(&id) == before.as_ref() => Outcome::Effect(Effect::OpenTask(id)),
            _ => Outcome::Done,
        }
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        self.find_root(cx.model);
        if !cx.paused {
            self.query.follow(cx.model);
        }
        let version = self.query.version();
        if self.built != version || self.tree.nodes.is_empty() {
            let tasks = self.tasks(cx.model);
            let bodies = shape::bodies(&tasks, cx.model);
            self.kind = shape::kind(&tasks, &bodies, cx.model);
            self.tree = Tree::build(&tasks, &bodies, &self.folded);
            self.bodies = bodies;
            self.tree.add_ghosts(cx.model);
            self.built = version;
            self.rows = self.tree.nodes.iter().map(|node| node.id.clone()).collect();
        }
        let name = self.root.as_ref().and_then(|root| cx.model.task(root)).and_then(|t| t.name()).unwrap_or("");
        let name = if name.is_empty() { self.id.short() } else { name.to_owned() };
        self.sync_head(&name, cx);
        self.height = usize::from(cx.size.height.saturating_sub(3));
        let selected = self.cursor.settle(&self.rows, self.height);
        self.table.columns = columns(cx.size.width);
        self.table.selected = selected.map(|s| s - self.cursor.top);
        let span = self.tree.span.map_or((cx.now, cx.now), |(begin, end)| (begin, end.unwrap_or(cx.now)));
        let shown = self.tree.nodes.iter().skip(self.cursor.top).take(self.height);
        self.table.rows = shown
            .map(|node| match (cx.model.task(&node.id), &node.ghost) {
                (_, Some(ghost)) => ghost_row(node, ghost, &self.table.columns),
                (Some(task), None) => {
                    let (folded, body) = (self.folded.contains(&node.id), self.bodies.contains(&node.id));
                    row(node, &task, &self.table.columns, &Look { folded, body, span }, cx)
                }
                (None, None) => Row {
                    cells: vec![Cell::default(), Cell::new(clean(&node.id.to_string()), Role::Faint)],
                    ..Row::default()
                },
            })
            .collect();
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        page.pieces(area.x + 1, area.y, area.width.saturating_sub(2), &self.head);
        let list = Rect { y: area.y + 2, height: area.height.saturating_sub(2), ..area };
        self.table.draw(page, list);
        if self.query.is_stale() {
            page.put(area.x + 3, area.y + 3, area.width, Clean::own("looking through all tasks …"), Role::Muted);
        }
    }

    fn copies(&self, cx: &Cx<'_>) -> Vec<(String, String)> {
        self.cursor.at.as_ref().and_then(|id| cx.model.task(id)).map(|t| task::copies(&t)).unwrap_or_default()
    }

    fn interest(&self) -> Interest {
        Interest { result: Some(ResultLook::Workflow(self.id.clone())), ..Interest::default() }
    }

    fn crumb(&self) -> Option<String> {
        Some("workflow".into())
    }

    fn wants_scan(&mut self) -> Option<ScanRequest> {
        self.query.wants_scan()
    }

    fn scanned(&mut self, fill: Fill) -> Option<Fill> {
        self.query.accept(fill)
    }

    fn keep_up(&mut self, model: &Model) {
        self.query.keep_up(model);
    }

    fn pause_between(&self) -> u64 {
        500
    }
}
